"""Adversarial training in the inner loop: every step learns from PGD examples of the support images.

They are made anew at each step, against the weights adapted so far; meta-testing adapts in the same way. The recipe of
the paper's "Adv." curves could not be read; this is our choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_metadrop.methods.adversary import none

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.methods.method import Method
    from tf_metadrop.nn.types import Params, PassNoise


class Inner(none.Adversary):
    """See the module."""

    def support(self, params: Params, x: tf.Tensor, y: tf.Tensor, method: Method, normal: PassNoise) -> tf.Tensor:
        """Adversarial support images."""
        return self.perturb(params, x, y, method, normal)


def make(config: Any) -> Inner:
    """The Adversary of this config."""
    return Inner(*none.make(config))
