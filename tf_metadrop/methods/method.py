"""What sets one algorithm apart from another: a choice from each registry, put together."""

from typing import Any, NamedTuple

import tensorflow as tf

from tf_metadrop.methods import adversary, inner, noise, regularizer


class Method(NamedTuple):
    """The parts of a run's algorithm; each package says what such a part can do."""

    noise: Any  # of tf_metadrop.noise
    inner: Any  # of tf_metadrop.inner
    regularizer: Any  # of tf_metadrop.regularizer
    adversary: Any  # of tf_metadrop.adversary
    initial_rate: float  # where the inner loop's learned rates start, if it has any

    def trained(self, name: str) -> bool:
        """Whether the outer loop updates the parameter of this name."""
        return self.noise.trained(name)

    def same_first_maps(self) -> bool:
        """Whether all noise samples of an inner step have the first block's `noise.maps` in common."""
        same_images = (
            type(self.regularizer).enter is regularizer.none.Regularizer.enter
            and type(self.adversary).support is adversary.none.Adversary.support
        )
        return same_images and hasattr(self.noise, "maps")

    def with_first_maps(self, mu, alpha):
        """This method with the first block's maps given."""
        return self._replace(noise=WithFirstMaps(self.noise, mu, alpha))

    def parameters(self, spec, theta) -> dict[str, tuple[int, ...]]:
        """Shapes of what it adds to the network, by name; theta is the network's own part under theta/."""
        more = self.regularizer.parameters(spec)
        return more | self.inner.parameters(theta | of_theta(more))

    def start(self, params) -> dict[str, tf.Tensor]:
        """Initial parameters, with the learned rates where they start."""
        rates = self.inner.parameters({name: w.shape for name, w in of_theta(params).items()})
        return params | {name: tf.fill(shape, self.initial_rate) for name, shape in rates.items()}


class WithFirstMaps(NamedTuple):
    """A noise type whose first block's maps are known."""

    noise: Any
    mu: tf.Tensor  # [..., batch, height, width, filters]
    alpha: tf.Tensor

    def features(self, params, layer, h, normal):
        """As the noise type's, for h [..., batch, height, width, channels], which may have an axis of samples more."""
        if layer > 1:
            return self.noise.features(params, layer, h, normal)
        more = h.shape.rank - self.mu.shape.rank  # of samples, before the batch
        shape = [*h.shape[:-1], self.mu.shape[-1]]
        spread = lambda m: tf.broadcast_to(tf.expand_dims(m, -5), shape) if more else m
        return self.noise.perturb(layer, spread(self.mu), spread(self.alpha), normal)

    def logits(self, params, f, normal):
        """As the noise type's."""
        return self.noise.logits(params, f, normal)


def of_theta(params) -> dict:
    """The part that the inner loop adapts."""
    return {name: value for name, value in params.items() if name.startswith("theta/")}


def load_method(config) -> Method:
    """The Method that a config describes."""
    inner_loop = inner.load(config.inner)
    return Method(
        noise=noise.load(config.noise_name, config.noise_variant),
        inner=inner_loop,
        regularizer=regularizer.load(config.regularizer).make(config),
        adversary=adversary.load(config.adv_train).make(config),
        initial_rate=inner_loop.initial(config),
    )
