"""No adversarial training, and what one can change: see Adversary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from tf_metadrop.methods import attack, network, pgd
from tf_metadrop.nn.layers import cross_entropy
from tf_metadrop.nn.rng import Draw

if TYPE_CHECKING:
    from tf_metadrop.methods.method import Method
    from tf_metadrop.nn.types import Params, PassNoise


class Adversary(NamedTuple):
    """Which images are replaced by adversarial ones. This one replaces none.

    The attack is PGD (pgd.py) on the cross-entropy of the current weights, not sampling. To the meta-gradient
    its result is a constant.
    """

    norm: str  # of tf_metadrop.methods.attack
    eps: float  # radius, for images in [0, 1]
    steps: int  # of PGD

    def support(self, params: Params, x: tf.Tensor, y: tf.Tensor, method: Method, normal: PassNoise) -> tf.Tensor:
        """The support images to learn from in an inner step; normal(layer, shape) draws standard normal noise."""
        return x

    def query(self, params: Params, x: tf.Tensor, y: tf.Tensor, method: Method, normal: PassNoise) -> tf.Tensor:
        """The query images that the outer loss is taken on, in training."""
        return x

    def perturb(self, params: Params, x: tf.Tensor, y: tf.Tensor, method: Method, normal: PassNoise) -> tf.Tensor:
        """Adversarial images against these parameters."""
        if self.eps == 0:
            return x
        fixed = tf.nest.map_structure(tf.stop_gradient, params)
        loss = lambda x: cross_entropy(network.forward(fixed, x, method), y)
        norm, start = attack.load(self.norm), lambda shape: normal(Draw.ADVERSARY, shape)
        return pgd.perturb(tf.stop_gradient(x), loss, norm, self.eps, self.steps, start)


def make(config: Any) -> Adversary:
    """The Adversary of this config."""
    return Adversary(config.adv_norm, config.adv_eps, config.adv_steps)
