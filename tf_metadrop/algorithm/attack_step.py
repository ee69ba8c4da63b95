"""The compiled attack: how many query images an adapted model classifies correctly under perturbations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf

from tf_metadrop.algorithm.execution import execution
from tf_metadrop.algorithm.inner_loop import adapt
from tf_metadrop.algorithm.outer_loop import for_each_task
from tf_metadrop.algorithm.tasks import Task, task_getter
from tf_metadrop.config.config import Config
from tf_metadrop.methods import attack, attack_variant, network
from tf_metadrop.methods.method import Method
from tf_metadrop.nn import rng
from tf_metadrop.nn.layers import cross_entropy
from tf_metadrop.nn.params import dtype_of
from tf_metadrop.nn.traced import CompiledStep

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params, Shape, TaskNoise


class Target(NamedTuple):
    """A model that was adapted to a task, or to several of them that are vectorised."""

    params: Params
    method: Method  # for query images
    task: Task
    noise: TaskNoise


def make_attack_step(
    config: Config, method: Method, grid: Mapping[str, Sequence[float]]
) -> CompiledStep[..., tf.Tensor]:
    """The compiled attack: (params, images, support, query, key, first) -> accuracies [metabatch, norms and radii].

    The arguments are those of `steps.make_test_step`. If the tasks are vectorised, the radii are vectorised too; if the
    tasks are computed one after the other, so are the radii. On a CPU, vectorised radii take the same time as
    sequential ones (docs/reference/methods/attacks.md) and more memory.

    Args:
      grid: the radii of each norm.
    """
    how = execution(config)

    def accuracies(params: Params, task: Task, noise: TaskNoise) -> tf.Tensor:
        samples = config.n_test_mc_samp, how.samples(config.metabatch, config.n_test_mc_samp)
        adapted = adapt(params, task.support_x, task.support_y, config, method, noise, *samples).params
        target = Target(adapted, network.for_queries(adapted, task.support_x, method), task, noise)
        return tf.concat([at_radii(target, config, norm, radii, how.at_once) for norm, radii in grid.items()], -1)

    def step(
        params: Params, images: tf.Tensor, support: tf.Tensor, query: tf.Tensor, key: tf.Tensor, first: tf.Tensor
    ) -> tf.Tensor:
        dtype = dtype_of(params)
        get_task = task_getter(images, support, query, config, dtype)
        get_noise = lambda index: rng.StandardNormal(rng.fold(key, first + index), dtype)
        if how.at_once:
            numbers = tf.range(config.metabatch)
            return accuracies(for_each_task(params, config.metabatch), get_task(numbers), get_noise(numbers))
        one = lambda index: accuracies(params, get_task(index), get_noise(index))
        return tf.map_fn(one, tf.range(config.metabatch), fn_output_signature=dtype, parallel_iterations=1)

    return CompiledStep(step, how.xla)


def at_radii(target: Target, config: Config, norm: str, radii: Sequence[float], at_once: bool) -> tf.Tensor:
    """The fraction of query images that withstand the attack at each radius, [..., radii]."""
    every = tf.constant(radii, target.task.query_x.dtype)
    if at_once:
        return withstanding(target, config, norm, every)
    return tf.map_fn(lambda eps: withstanding(target, config, norm, eps), every, parallel_iterations=1)


def withstanding(target: Target, config: Config, norm: str, eps: tf.Tensor) -> tf.Tensor:
    """The fraction of query images that are classified correctly after every start of the attack.

    Args:
      eps: a radius, or several, [radii]; the result then has them as last axis.
    Returns:
      The fraction; NaN if logits are not finite.
    """
    task = target.task
    x, y = (spread(t, eps, axis) for t, axis in ((task.query_x, -4), (task.query_y, -2)))
    correct, sound = tf.ones(x.shape[:-3], tf.bool), tf.constant(True)
    for restart in range(max(config.attack_restarts, 1)):
        found = perturbed(target, config, norm, eps, (x, y), restart)
        logits = network.forward(target.params, found, target.method)
        correct &= tf.equal(tf.argmax(logits, -1), tf.argmax(y, -1))
        sound &= tf.reduce_all(tf.math.is_finite(logits))
    return tf.where(sound, tf.reduce_mean(tf.cast(correct, x.dtype), -1), float("nan"))


def perturbed(
    target: Target, config: Config, norm: str, eps: tf.Tensor, images: tuple[tf.Tensor, tf.Tensor], restart: int
) -> tf.Tensor:
    """The images that the attack finds from one start, the same for every radius.

    Args:
      images: query images and their one-hot labels, for each radius.
    """
    x, y = images
    batches = x.shape[:-4]

    def start(shape: Shape) -> tf.Tensor:
        of_tasks = [*target.task.query_x.shape[:-4], *shape[len(batches) :]]
        return spread(target.noise(config.n_steps, restart, rng.Draw.ATTACK_START, of_tasks), eps, -2)

    loss = lambda x: cross_entropy(network.forward(target.params, x, target.method), y)
    variant, normal = attack_variant.load(config.attack_variant), start if config.attack_restarts else None
    return variant.perturb(x, loss, attack.load(norm), tf.broadcast_to(eps, batches), config.attack_steps, normal)


def spread(x: tf.Tensor, eps: tf.Tensor, axis: int) -> tf.Tensor:
    """Repeats x for each radius, on a new axis before `axis`; for a single radius (a scalar eps) returns x itself."""
    return x if eps.shape.rank == 0 else tf.stack([x] * eps.shape[0], x.shape.rank + axis)
