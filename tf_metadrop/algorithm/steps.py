"""The compiled steps of meta-training and meta-testing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tf_metadrop.algorithm.execution import execution
from tf_metadrop.algorithm.outer_loop import (
    Gradient,
    State,
    for_each_task,
    meta_gradient,
    meta_step,
    task_loss,
    vectorised_gradient,
)
from tf_metadrop.algorithm.tasks import Task, task_getter
from tf_metadrop.config.config import Config
from tf_metadrop.methods import metric
from tf_metadrop.nn import fused
from tf_metadrop.nn.params import dtype_of
from tf_metadrop.nn.rng import StandardNormal, fold
from tf_metadrop.nn.traced import CompiledStep

if TYPE_CHECKING:
    from tf_metadrop.methods.method import Method
    from tf_metadrop.nn.types import Params, TaskNoise


def make_train_step(
    config: Config, method: Method, shared_gradient: Callable[..., Gradient] | None = None
) -> CompiledStep[..., tuple[State, tf.Tensor, tf.Tensor]]:
    """Makes the compiled meta-training step: (state, images, support, query, key) -> (state, mean loss, accuracies).

    If the loss, the gradient or the new weights have a non-finite value, the returned loss is NaN and the state is
    unchanged except for its iteration. The iteration is also Adam's t, so t counts skipped steps too.

    The step's arguments: images as for `gather_task`; support [metabatch, way * shot] and query
    [metabatch, way * query] are indices into images; key is the key of the training stream, into which the iteration
    and the task are folded.

    Args:
      config: settings of the run.
      method: see `tf_metadrop.methods.method`.
      shared_gradient: see `parallel.sharded`; None on one device.
    """
    how = execution(config)
    gradient_of = shared_gradient or (vectorised_gradient if how.at_once else meta_gradient)

    def train_step(
        state: State, images: tf.Tensor, support: tf.Tensor, query: tf.Tensor, key: tf.Tensor
    ) -> tuple[State, tf.Tensor, tf.Tensor]:
        key = fold(key, state.iteration)
        dtype = dtype_of(state.params)
        task = task_getter(images, support, query, config, dtype)
        get_noise = lambda index: StandardNormal(fold(key, index), dtype)
        with fused.BackgroundCompilation(not how.xla):
            gradient, loss, accs = gradient_of(state.params, config.metabatch, task, config, method, get_noise)
        after = meta_step(state, gradient, config.meta_lr, method.meta_optimizer)
        sound = are_numbers([loss, *gradient.values(), *after.params.values()])
        kept = tf.nest.map_structure(lambda new, old: tf.where(sound, new, old), after, state)
        return kept._replace(iteration=after.iteration), tf.where(sound, loss, float("nan")), accs

    return CompiledStep(train_step, how.xla and not shared_gradient)


def are_numbers(tensors: Iterable[tf.Tensor]) -> tf.Tensor:
    """Whether all values are finite, a boolean scalar."""
    return tf.reduce_all(tf.math.is_finite(tf.concat([tf.reshape(t, [-1]) for t in tensors], 0)))


def make_test_step(config: Config, method: Method) -> CompiledStep[..., dict[str, tf.Tensor]]:
    """Makes the compiled evaluation step: (params, images, support, query, key, first) -> {metric: [metabatch]}.

    It uses n_test_mc_samp noise samples per inner step and builds no second-order graph. The task's number, counted
    from `first`, is folded into the key, so that the result of a task does not depend on the metabatch.
    """
    how, c = execution(config), config

    def metrics(params: Params, task: Task, noise: TaskNoise, *samples: int) -> dict[str, tf.Tensor]:
        logits = task_loss(params, task, c, method, noise, *samples)[2]
        return metric.evaluate(logits, task.query_y)

    def every_metric(
        params: Params, images: tf.Tensor, support: tf.Tensor, query: tf.Tensor, key: tf.Tensor, first: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        dtype = dtype_of(params)
        get_task = task_getter(images, support, query, c, dtype)
        get_noise = lambda index: StandardNormal(fold(key, first + index), dtype)
        samples = c.n_test_mc_samp, how.samples(c.metabatch, c.n_test_mc_samp)
        if how.at_once:
            every, numbers = for_each_task(params, c.metabatch), tf.range(c.metabatch)
            return metrics(every, get_task(numbers), get_noise(numbers), *samples)
        tasks_in_flight, in_flight = (how.in_flight, 1) if c.metabatch > 1 else (1, how.in_flight)

        def one(index: tf.Tensor) -> dict[str, tf.Tensor]:
            return metrics(params, get_task(index), get_noise(index), *samples, in_flight)

        numbers = dict.fromkeys(metric.names(), dtype)
        return tf.map_fn(one, tf.range(c.metabatch), fn_output_signature=numbers, parallel_iterations=tasks_in_flight)

    def test_step(*args: Any) -> dict[str, tf.Tensor]:
        with fused.BackgroundCompilation(not how.xla):
            return every_metric(*args)

    return CompiledStep(test_step, how.xla)
