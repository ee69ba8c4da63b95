"""Adversarial training in the inner loop: every step learns from PGD examples of the support images.

Each step computes new examples, against the weights adapted so far. Meta-testing adapts in the same way. This is our
choice: the recipe of the paper's "Adv." curves was not available.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_metadrop.methods.adversary import none

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.methods.method import Method
    from tf_metadrop.nn.types import Params, PassNoise


class Inner(none.Adversary):
    """An adversary that replaces the support images."""

    def support(self, params: Params, x: tf.Tensor, y: tf.Tensor, method: Method, normal: PassNoise) -> tf.Tensor:
        """The adversarial support images."""
        return self.perturb(params, x, y, method, normal)


def make(config: Any) -> Inner:
    """The Adversary of this config."""
    return Inner(*none.make(config))
