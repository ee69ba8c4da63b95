"""Metrics: every file in this folder is computed at every evaluation, and named after the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    import tensorflow as tf


class Metric(Protocol):
    """A metric: a number for each task, from its query set."""

    def value(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """The metric [...] of logits and one-hot labels [..., batch, way]."""


_registry: Registry[Metric] = Registry(__name__, __path__, Metric)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load


def in_order() -> list[str]:
    """Names of all metrics in the order of the files: first the cross-entropy, then the accuracy, then the others."""
    return sorted(names(), key=lambda name: (name not in ("cent", "accuracy"), name != "cent", name))


def evaluate(logits: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
    """Computes all metrics, by name."""
    return {name: load(name).value(logits, labels) for name in names()}
