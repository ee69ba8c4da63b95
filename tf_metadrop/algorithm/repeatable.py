"""Checks that a method draws random numbers only from the run's seed, so that two runs with one seed are equal."""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np
import tensorflow as tf

from tf_metadrop.algorithm import flops
from tf_metadrop.algorithm.outer_loop import task_gradient
from tf_metadrop.algorithm.tasks import Task
from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import rng
from tf_metadrop.nn.params import cast
from tf_metadrop.nn.traced import traced

ADVICE = "draw from `normal(shape)` or `normal.uniform(shape)`, which depend on the seed only"


def check_repeatable(config: Config) -> None:
    """Computes the meta-gradient of a small task twice, with a new trace each time, and compares them bit by bit.

    Use it for your own method, on a CPU. The check fails if the method draws random numbers by tf.random, NumPy or
    otherwise, or if its noise does not depend on the seed.

    Raises:
      UsageError: the two gradients differ, or another seed gives the same gradient although the method samples noise.
    """
    config = dataclasses.replace(config, way=2, shot=1, query=1, n_steps=2, mode="meta_train")
    method, spec = load_method(config), config.spec
    params = cast(network.initial(method, config.way, rng.key(config.seed, rng.INITIAL_WEIGHTS)), config.dtype)
    images = np.random.RandomState(0).random_sample([4, *spec.image_shape]).astype(config.dtype)
    x, labels = tf.constant(images), tf.eye(2, dtype=config.dtype)
    task = Task(x[:2], labels, x[2:], labels)

    def gradient(seed: int) -> list[np.ndarray]:
        def compute() -> dict[str, tf.Tensor]:
            noise = rng.StandardNormal(rng.key(seed, rng.TRAIN), config.dtype)
            return task_gradient(params, task, config, method, noise)[0]

        return [g.numpy() for g in traced(compute)().values()]

    same = lambda one, other: all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    first = gradient(0)
    if not same(first, gradient(0)):
        raise UsageError(f"{config.method} gives a different meta-gradient when it is computed again: {ADVICE}.")
    if method.noise.SAMPLED and same(first, gradient(1)):
        raise UsageError(f"{config.method} gives the same meta-gradient for every seed, but is SAMPLED: {ADVICE}.")


def refuse_own_draws(graph: tf.Graph, method: str) -> None:
    """Raises UsageError if a traced step has an operation that draws new random numbers in every call."""
    if own := own_draws(graph):
        raise UsageError(
            f"{method} draws random numbers from TensorFlow ({', '.join(sorted(own))}), so two runs with one seed "
            f"would differ: {ADVICE}."
        )


def own_draws(graph: tf.Graph) -> set[str]:
    """Types of the operations, in a graph and the functions it calls, that draw new random numbers in every call."""
    found: set[str] = set()
    for op in flops.needed(graph):
        if draws(op.type):
            found.add(op.type)
        with contextlib.suppress(flops.Uncounted):  # this version of TensorFlow gives no access to them
            for called in flops.called(op):
                found |= own_draws(called)
    return found


def draws(kind: str) -> bool:
    """Whether operations of this type draw from TensorFlow's own state: RandomUniform does, StatelessRandom... not."""
    return kind.startswith(("Random", "Stateful")) and kind != "StatefulPartitionedCall" or kind in (
        "TruncatedNormal", "ParameterizedTruncatedNormal", "Multinomial",
    )  # fmt: skip
