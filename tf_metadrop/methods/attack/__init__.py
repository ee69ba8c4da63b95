"""Norms of adversarial attacks: every file in this folder is a value of --adv_norm, named after the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    import tensorflow as tf


class Norm(Protocol):
    """A norm of perturbations. Perturbations d and gradients g are [..., pixels]; radii eps broadcast against them."""

    RADII: tuple[float, ...]  # the radii of the paper's figure, for Omniglot

    def size(self, d: tf.Tensor) -> tf.Tensor:
        """The norm of d, [..., 1]."""

    def project(self, d: tf.Tensor, eps: tf.Tensor) -> tf.Tensor:
        """The point of the ball of this radius that is closest to d."""

    def ascent(self, g: tf.Tensor) -> tf.Tensor:
        """The direction of an ascent step along g, of size 1 in this norm."""

    def start(self, normal: tf.Tensor, eps: tf.Tensor) -> tf.Tensor:
        """A random point of the ball with radius eps, from standard normal numbers [..., pixels + 1]."""


_registry: Registry[Norm] = Registry(__name__, __path__, Norm)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
