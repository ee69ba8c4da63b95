"""No adversarial training; and `Adversary`, the class that other kinds of adversarial training derive from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from tf_metadrop.methods import attack, network
from tf_metadrop.methods.attack_variant import pgd
from tf_metadrop.nn.layers import cross_entropy
from tf_metadrop.nn.rng import Draw

if TYPE_CHECKING:
    from tf_metadrop.methods.method import Method
    from tf_metadrop.nn.types import Params, PassNoise


class Adversary(NamedTuple):
    """Replaces images by adversarial ones; this base class replaces none.

    The attack is PGD (attack_variant/pgd.py) on the cross-entropy of the current weights, without noise. Its result is
    a constant for the meta-gradient.
    """

    norm: str  # of tf_metadrop.methods.attack
    eps: float  # radius, for images in [0, 1]
    steps: int  # number of PGD steps

    def support(self, params: Params, x: tf.Tensor, y: tf.Tensor, method: Method, normal: PassNoise) -> tf.Tensor:
        """The support images of an inner step; normal(layer, shape) draws standard normal noise."""
        return x

    def query(self, params: Params, x: tf.Tensor, y: tf.Tensor, method: Method, normal: PassNoise) -> tf.Tensor:
        """The query images of the outer loss in training."""
        return x

    def perturb(self, params: Params, x: tf.Tensor, y: tf.Tensor, method: Method, normal: PassNoise) -> tf.Tensor:
        """The adversarial images against these parameters."""
        if self.eps == 0:
            return x
        fixed = tf.nest.map_structure(tf.stop_gradient, params)
        loss = lambda x: cross_entropy(network.forward(fixed, x, method), y)
        norm, start = attack.load(self.norm), lambda shape: normal(Draw.ADVERSARY, shape)
        return pgd.perturb(tf.stop_gradient(x), loss, norm, self.eps, self.steps, start)


def make(config: Any) -> Adversary:
    """The Adversary of this config."""
    return Adversary(config.adv_norm, config.adv_eps, config.adv_steps)
