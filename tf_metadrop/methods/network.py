"""The forward pass: a backbone with the noise type, regulariser and normalisation of a method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tf_metadrop.errors import UsageError
from tf_metadrop.nn import layers, normalization
from tf_metadrop.nn import params as parameters
from tf_metadrop.nn.layers import cross_entropy
from tf_metadrop.nn.rng import Draw, LayerDraws
from tf_metadrop.nn.rounded import Rounded
from tf_metadrop.nn.statistics import Keeping, Using

if TYPE_CHECKING:
    from tf_metadrop.methods.method import Method
    from tf_metadrop.nn.normalization import Normalization
    from tf_metadrop.nn.site import Block, Site
    from tf_metadrop.nn.statistics import Statistics
    from tf_metadrop.nn.types import Normal, Params, PassNoise, Penalty


class Pass:
    """Applies a method in the blocks of one forward pass (see `backbones.Blocks`), and collects the penalties.

    Args:
      params: all parameters.
      method: see `tf_metadrop.methods.method`.
      noise: None (not sampling), or a function (layer, shape) -> standard normal noise of this shape.
      second_order: with `tf1`, the backward results of the normalisations are constants.
      mixing: the result of `Regularizer.mix`; None: nothing is mixed.
    """

    def __init__(self, params: Params, method: Method, noise: PassNoise | None, second_order: str, mixing: Any):
        self._params, self._method, self._noise, self._mixing = params, method, noise, mixing
        self._constant = second_order == "tf1"
        self.penalties: list[Penalty] = []
        self.kept: dict[int, Any] | None = None  # a dict that collects the statistics of every block

    def enter(self, number: int, h: tf.Tensor) -> tf.Tensor:
        """The input of block `number`, from the features h."""
        return self._method.regularizer.enter(number, h, self._mixing)

    def perturb(self, site: Site) -> tf.Tensor:
        """The output of a layer with its noise."""
        if site.first and self._method.first_maps:
            site = site._replace(given=self._method.first_maps)
        x = self._method.noise.features(site, at_layer(self._noise, Draw.LAYER.at(site.number), site.h.dtype))
        return layers.constant_gradient(x) if self._constant and site.normalized else x

    def leave(self, block: Block) -> tf.Tensor:
        """The output of a block; its penalty is collected."""
        norm = self._normalization(block.number)
        h, penalty = self._method.regularizer.leave(self._params, block, norm, self._noise)
        self.penalties.append(penalty)
        return h

    def normalized(self, number: int, x: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
        """norm(x) + offset, for features outside the blocks; `number` is not that of a block."""
        x = layers.constant_gradient(x) if self._constant else x
        norm: Any = self._normalization(number)
        return norm.norm(x, offset)

    def _normalization(self, number: int) -> Normalization:
        """The method's normalisation, as this pass uses it in block `number`."""
        norm: Normalization = normalization.at(self._method.normalization, self._params, number)
        if self._method.maps:
            norm = Rounded(norm)
        if self._method.statistics is not None:
            norm = Using(norm, self._method.statistics[number - 1])
        if self.kept is not None:
            norm = Keeping(norm, self.kept, number)
        return norm


def shapes(method: Method, way: int) -> dict[str, tuple[int, ...]]:
    """Shapes of all parameters, by name: those of the backbone, then those that the method adds."""
    found = method.backbone.shapes(way)
    return found | method.parameters(parameters.of_theta(found))


def initial(method: Method, way: int, seed: tf.Tensor) -> Params:
    """Draws the initial parameters, float32; seed is a key [2], see `rng.key`."""
    drawn = parameters.initial(shapes(method, way), seed)
    for name, deviation in getattr(method.backbone, "deviations", {}).items():
        drawn[name] *= deviation / parameters.INITIAL_SD
    given = getattr(method.backbone, "weights", {})
    return method.start(drawn | {name: tf.constant(w) for name, w in given.items()})


def fitting(params: Params, method: Method, way: int, source: str) -> Params:
    """Selects the parameters of this method, in its order, from those of a checkpoint.

    Raises:
      UsageError: one is missing or has another shape; the message names `source`.
    """
    wanted = shapes(method, way)
    for name, shape in wanted.items():
        if name not in params:
            raise UsageError(
                f"{source} has no variable {name}: it is not a checkpoint of this model; give the --backbone, "
                "--noise_type, --inner and --regularizer that it was trained with."
            )
        if tuple(params[name].shape) != shape:
            raise UsageError(
                f"{source} has {name} of shape {tuple(params[name].shape)} but {method.images} {way}-way needs "
                f"{shape}: give the --dataset and --way of its training."
            )
    return {name: params[name] for name in wanted}


def as_map(x: tf.Tensor, method: Method) -> tf.Tensor:
    """Casts images to the dtype of the feature maps."""
    return tf.cast(x, method.maps) if method.maps else x


def encode(
    params: Params,
    x: tf.Tensor,
    method: Method,
    noise: PassNoise | None = None,
    second_order: str = "exact",
    mixing: Any = None,
) -> tuple[tf.Tensor, Penalty]:
    """Computes the features before the last layer, and the regulariser's penalty.

    Args:
      x: images in [0, 1], [batch, height, width, channels].
      params, method, noise, second_order, mixing: see `Pass`.
    Returns:
      ([batch, features], penalty).
    """
    blocks = Pass(params, method, noise, second_order, mixing)
    f = tf.cast(method.backbone.hidden(params, as_map(x, method), blocks), x.dtype)
    f, penalty = method.regularizer.last(params, f, noise)
    return f, sum(blocks.penalties, penalty)


def support_statistics(params: Params, x: tf.Tensor, method: Method) -> Statistics:
    """The statistics of support images x in every block, in a pass without noise, by which queries are normalised."""
    blocks = Pass(params, method, None, "exact", None)
    blocks.kept = {}
    method.backbone.hidden(params, as_map(x, method), blocks)
    return tuple(blocks.kept[number] for number in sorted(blocks.kept))


def for_queries(params: Params, support_x: tf.Tensor, method: Method) -> Method:
    """The method for a forward pass of query images, under adapted parameters."""
    if not method.normalization.FROM_SUPPORT:
        return method
    return method._replace(statistics=support_statistics(params, support_x, method))


def hidden(params: Params, x: tf.Tensor, method: Method, noise: PassNoise | None = None) -> tf.Tensor:
    """The features [batch, features] before the last layer; arguments as for `encode`."""
    return encode(params, x, method, noise)[0]


def logits(params: Params, f: tf.Tensor, method: Method, noise: PassNoise | None = None) -> tf.Tensor:
    """Logits [batch, way] of features [batch, features]; arguments as for `encode`."""
    site = method.backbone.last(params, f)
    return method.noise.logits(site, at_layer(noise, Draw.LAYER.at(site.number)))


def forward(params: Params, x: tf.Tensor, method: Method, noise: PassNoise | None = None) -> tf.Tensor:
    """Logits [batch, way] of images [batch, height, width, channels]; arguments as for `encode`."""
    return logits(params, hidden(params, x, method, noise), method, noise)


def loss(
    params: Params,
    x: tf.Tensor,
    y: tf.Tensor,
    method: Method,
    noise: PassNoise | None = None,
    second_order: str = "exact",
) -> tuple[tf.Tensor, tf.Tensor]:
    """The cross-entropy in nats against one-hot labels y [batch, way], plus the regulariser's penalty.

    Returns:
      (loss, logits [batch, way]); arguments as for `encode`.
    """
    labels, mixing = method.regularizer.mix(y, noise)
    f, penalty = encode(params, x, method, noise, second_order, mixing)
    out = logits(params, f, method, noise)
    return cross_entropy(out, labels) + penalty, out


def at_layer(noise: PassNoise | None, layer: int, dtype: tf.DType | None = None) -> Normal | None:
    """The random draws of a layer in this pass, in the dtype of its input; None if the pass does not sample."""
    return None if noise is None else LayerDraws(noise, layer, dtype)
