"""Metrics of an evaluation, one file each: a file added to this folder is taken at every evaluation, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    import tensorflow as tf


class Metric(Protocol):
    """A number for each task, from its query set."""

    def value(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """[...], from logits and one-hot labels [..., batch, way]."""


_registry: Registry[Metric] = Registry(__name__, __path__, Metric)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load


def in_order() -> list[str]:
    """Names of all metrics as files show them: the cross-entropy and the accuracy first."""
    return sorted(names(), key=lambda name: (name not in ("cent", "accuracy"), name != "cent", name))


def evaluate(logits: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
    """All metrics, by name."""
    return {name: load(name).value(logits, labels) for name in names()}
