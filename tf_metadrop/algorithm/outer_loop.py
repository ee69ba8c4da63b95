"""The outer loop: query loss, meta-gradient and optimiser step (Algorithm 1 of the paper, lines 3 to 12)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import tensorflow as tf

from tf_metadrop.algorithm.inner_loop import ZERO, Adapted, adapt
from tf_metadrop.algorithm.tasks import Task, TaskGetter
from tf_metadrop.config.config import Config
from tf_metadrop.methods import network
from tf_metadrop.methods.method import Method
from tf_metadrop.nn.layers import accuracy, cross_entropy
from tf_metadrop.nn.params import dtype_of, of_theta

if TYPE_CHECKING:
    from tf_metadrop.methods.meta_optimizer import MetaOptimizer
    from tf_metadrop.nn.types import NoiseGetter, Params, Slots, TaskNoise

GRADIENT_CLIP = 3.0

Gradient: TypeAlias = "tuple[Params, tf.Tensor, tf.Tensor]"  # gradients by name, query cross-entropy, query accuracy


class State(NamedTuple):
    """The state that a training step changes."""

    params: Params  # name -> tensor
    slots: Slots  # of the outer loop's optimiser: slot -> {name of a trained parameter -> tensor}
    iteration: tf.Tensor  # int64 scalar: number of steps taken


def initial_state(params: Params, method: Method) -> State:
    """The state before the first step."""
    zeros = {name: tf.zeros_like(w) for name, w in params.items() if method.trained(name)}
    return State(dict(params), {slot: dict(zeros) for slot in method.meta_optimizer.SLOTS}, tf.zeros([], tf.int64))


def task_loss(
    params: Params,
    task: Task,
    config: Config,
    method: Method,
    noise: TaskNoise,
    n_samples: int = 1,
    at_once: int = 1,
    in_flight: int = 1,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, Adapted]:
    """Adapts to the support set with noise, then classifies the query set without noise.

    Returns:
      (query cross-entropy in nats, query accuracy in [0, 1], query logits [way * query, way], Adapted).
    """
    adapted = adapt(params, task.support_x, task.support_y, config, method, noise, n_samples, at_once, in_flight)
    method = network.for_queries(adapted.params, task.support_x, method)
    logits = network.forward(adapted.params, task.query_x, method)
    return cross_entropy(logits, task.query_y), accuracy(logits, task.query_y), logits, adapted


def outer_loss(
    params: Params, task: Task, config: Config, method: Method, noise: TaskNoise
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The loss of a task in training: as `task_loss`, with the regulariser's penalty, on the adversary's query images.

    Returns:
      (loss to differentiate, query cross-entropy, query accuracy).
    """
    adapted = adapt(params, task.support_x, task.support_y, config, method, noise).params
    method = network.for_queries(adapted, task.support_x, method)
    x = method.adversary.query(adapted, task.query_x, task.query_y, method, partial(noise, config.n_steps, 0))
    loss, logits = network.loss(adapted, x, task.query_y, method)
    return loss, cross_entropy(logits, task.query_y), accuracy(logits, task.query_y)


def task_gradient(params: Params, task: Task, config: Config, method: Method, noise: TaskNoise) -> Gradient:
    """The meta-gradient of one task, by name, for the parameters that the method trains.

    Returns:
      (gradients, query cross-entropy, query accuracy).
    """
    trained = {name: w for name, w in params.items() if method.trained(name)}
    with tf.GradientTape() as tape:
        tape.watch(trained)
        loss, cent, acc = outer_loss({**params, **trained}, task, config, method, noise)
    return tape.gradient(loss, trained, unconnected_gradients=ZERO), cent, acc


def meta_gradient(
    params: Params, n_tasks: int, get_task: TaskGetter, config: Config, method: Method, get_noise: NoiseGetter
) -> Gradient:
    """The mean meta-gradient over the tasks of a metabatch, computed sequentially.

    Gradients are added up task by task, so that memory does not grow with the number of tasks.

    Args:
      n_tasks: size of the metabatch.
      get_task: function from a task's number (scalar tensor) to a Task.
      get_noise: function from a task's number to its noise, see `rng.StandardNormal`.
    Returns:
      (gradients, mean query cross-entropy, accuracies [n_tasks]).
    """
    trained = {name: w for name, w in params.items() if method.trained(name)}
    dtype = dtype_of(trained)

    def body(
        index: tf.Tensor, total: Params, loss_sum: tf.Tensor, accs: tf.TensorArray
    ) -> tuple[tf.Tensor, Params, tf.Tensor, tf.TensorArray]:
        gradient, loss, acc = task_gradient(params, get_task(index), config, method, get_noise(index))
        total = {name: total[name] + gradient[name] / n_tasks for name in total}
        return index + 1, total, loss_sum + loss / n_tasks, accs.write(index, acc)

    zeros = tf.nest.map_structure(tf.zeros_like, trained)
    start = 0, zeros, tf.zeros([], dtype), tf.TensorArray(dtype, n_tasks, element_shape=[])
    _, total, loss, accs = tf.while_loop(lambda index, *_: index < n_tasks, body, start, parallel_iterations=1)
    return total, loss, accs.stack()


def vectorised_gradient(
    params: Params, n_tasks: int, get_task: TaskGetter, config: Config, method: Method, get_noise: NoiseGetter
) -> Gradient:
    """`meta_gradient` with the tasks vectorised on a leading axis, for GPUs; memory grows with the number of tasks.

    Args:
      get_task, get_noise: functions from the numbers of all tasks, [n_tasks], to all tasks and their noise.
    """
    trained = {name: w for name, w in params.items() if method.trained(name)}
    with tf.GradientTape() as tape:
        tape.watch(trained)
        every = for_each_task({**params, **trained}, n_tasks)
        numbers = tf.range(n_tasks)
        losses, cents, accs = outer_loss(every, get_task(numbers), config, method, get_noise(numbers))
        loss = tf.reduce_mean(losses)
    return tape.gradient(loss, trained, unconnected_gradients=ZERO), tf.reduce_mean(cents), accs


def for_each_task(params: Params, n_tasks: int) -> Params:
    """The parameters with theta repeated for every task, on a leading axis."""
    theta = {name: tf.broadcast_to(w, [n_tasks, *w.shape]) for name, w in of_theta(params).items()}
    return {**params, **theta}


def meta_step(state: State, gradient: Params, meta_lr: float, optimizer: MetaOptimizer) -> State:
    """Clips each gradient entry to [-3, 3] and takes one step of the outer loop's optimiser."""
    clipped = {name: tf.clip_by_value(g, -GRADIENT_CLIP, GRADIENT_CLIP) for name, g in gradient.items()}
    t = tf.cast(state.iteration + 1, dtype_of(gradient))
    params, slots = optimizer.step(state.params, state.slots, clipped, meta_lr, t)
    return State({**state.params, **params}, slots, state.iteration + 1)
