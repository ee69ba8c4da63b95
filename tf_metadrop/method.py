"""What sets one algorithm apart from another: a choice from each registry, put together."""

from typing import Any, NamedTuple

import tensorflow as tf

from tf_metadrop import adversary, inner, noise, regularizer


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

    def parameters(self, spec, theta) -> dict[str, tuple[int, ...]]:
        """Shapes of what it adds to the network, by name; theta is the network's own part under theta/."""
        more = self.regularizer.parameters(spec)
        return more | self.inner.parameters(theta | of_theta(more))

    def start(self, params) -> dict[str, tf.Tensor]:
        """Initial parameters, with the learned rates where they start."""
        rates = self.inner.parameters({name: w.shape for name, w in of_theta(params).items()})
        return params | {name: tf.fill(shape, self.initial_rate) for name, shape in rates.items()}


def of_theta(params) -> dict:
    """The part that the inner loop adapts."""
    return {name: value for name, value in params.items() if name.startswith("theta/")}


def load(config) -> Method:
    """The Method that a config describes."""
    inner_loop = inner.load(config.inner)
    return Method(
        noise=noise.load(config.noise_name, config.noise_variant),
        inner=inner_loop,
        regularizer=regularizer.load(config.regularizer).make(config),
        adversary=adversary.load(config.adv_train).make(config),
        initial_rate=inner_loop.initial(config),
    )
