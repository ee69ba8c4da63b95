"""A method: one choice from each registry, combined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from tf_metadrop.errors import UsageError
from tf_metadrop.methods import adversary, inner, meta_optimizer, noise, regularizer
from tf_metadrop.methods.adversary.none import Adversary
from tf_metadrop.methods.regularizer.none import Regularizer
from tf_metadrop.nn import backbones, normalization
from tf_metadrop.nn.params import kind, of_theta

if TYPE_CHECKING:
    from tf_metadrop.nn.backbones import Backbone
    from tf_metadrop.nn.normalization import Normalization
    from tf_metadrop.nn.statistics import Statistics
    from tf_metadrop.nn.types import Params


class Method(NamedTuple):
    """The parts of a run's algorithm; each part's package describes its interface."""

    backbone: Backbone  # of nn.backbones, for the images of the data set
    normalization: Normalization  # of nn.normalization
    noise: noise.NoiseType  # of methods.noise
    inner: inner.InnerStep  # of methods.inner
    regularizer: Regularizer  # of methods.regularizer
    adversary: Adversary  # of methods.adversary
    meta_optimizer: meta_optimizer.MetaOptimizer  # of methods.meta_optimizer
    initial_rate: float  # initial value of the inner loop's learned rates, if it has any
    images: str  # name of the data set, for messages
    maps: str | None = None  # dtype of the feature maps; None: that of the parameters
    first_maps: tuple[tf.Tensor, tf.Tensor] | None = None  # (mu, alpha) of the first layer, if computed before
    statistics: Statistics | None = None  # of another pass, to normalise by; None: those of the batch itself

    def trained(self, name: str) -> bool:
        """Whether the outer loop updates this parameter: always, unless it is of phi and not in TRAINED_PHI."""
        of = kind(name)
        return not of.startswith("phi") or of in self.noise.TRAINED_PHI

    def same_first_maps(self) -> bool:
        """Whether all noise samples of an inner step share mu and alpha of the first layer."""
        same_images = (
            type(self.regularizer).enter is Regularizer.enter and type(self.adversary).support is Adversary.support
        )
        return same_images and getattr(self.noise, "FROM_MAPS", False)

    def parameters(self, theta: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters that the method adds to the network, by name; theta: the network's under theta/."""
        more = self.regularizer.parameters(self.backbone)
        if hasattr(self.normalization, "parameters"):
            more |= self.normalization.parameters(getattr(self.backbone, "normalizations", len(self.backbone.kernels)))
        return more | self.inner.parameters(theta | of_theta(more))

    def start(self, params: Params) -> Params:
        """The initial parameters, with the initial values of the learned rates."""
        rates = self.inner.parameters({name: w.shape for name, w in of_theta(params).items()})
        return params | {name: tf.fill(shape, self.initial_rate) for name, shape in rates.items()}


def load_method(config: Any) -> Method:
    """Makes the Method that a config describes."""
    inner_loop = inner.load(config.inner)
    backbone = backbones.load(config.backbone).make(config.spec, **backbones.options(config.backbone, config))
    acting = regularizer.load(config.regularizer).make(config, backbone)
    check_fit(config, backbone, acting)
    return Method(
        backbone=backbone,
        normalization=normalization.load(config.normalization_name),
        noise=noise.load(config.noise_name, config.noise_variant),
        inner=inner_loop,
        regularizer=acting,
        adversary=adversary.load(config.adv_train).make(config),
        meta_optimizer=meta_optimizer.load(config.meta_optimizer),
        initial_rate=inner_loop.initial(config),
        images=config.dataset,
        maps=None if config.maps_dtype == config.dtype else config.maps_dtype,
    )


def check_fit(config: Any, backbone: Backbone, acting: Regularizer) -> None:
    """Raises UsageError if the normalisation or the regulariser does not work with the backbone."""
    norm, names = normalization.load(config.normalization_name), ("enter", "leave")
    if hasattr(backbone, "normalizations") and not hasattr(norm, "norm"):
        raise UsageError(
            f"--normalization={config.normalization_name} has no `norm`, which --backbone={config.backbone} needs: "
            "choose another one."
        )
    in_blocks = any(getattr(type(acting), name) is not getattr(Regularizer, name) for name in names)
    if in_blocks and getattr(backbone, "blocks", None) == 0:
        raise UsageError(
            f"--regularizer={config.regularizer} acts in blocks, but --backbone={config.backbone} has none: choose "
            "vib, which acts on the last features, or none."
        )
