"""Adversarial querying: the outer loss uses PGD examples of the query images, against the adapted weights.

Adaptation and meta-testing do not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_metadrop.methods.adversary import none

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.methods.method import Method
    from tf_metadrop.nn.types import Params, PassNoise


class Query(none.Adversary):
    """An adversary that replaces the query images."""

    def query(self, params: Params, x: tf.Tensor, y: tf.Tensor, method: Method, normal: PassNoise) -> tf.Tensor:
        """The adversarial query images."""
        return self.perturb(params, x, y, method, normal)


def make(config: Any) -> Query:
    """The Adversary of this config."""
    return Query(*none.make(config))
