"""The inner loop: Algorithm 1 of the paper, lines 5 to 9."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import tensorflow as tf

from tf_metadrop.config.config import Config
from tf_metadrop.methods import network
from tf_metadrop.methods.method import Method
from tf_metadrop.nn.layers import up
from tf_metadrop.nn.params import of_theta

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params, TaskNoise

ZERO = tf.UnconnectedGradients.ZERO

SampleGradient: TypeAlias = "Callable[..., tuple[Any, tf.Tensor, tf.Tensor]]"  # sample -> (gradient, loss, logits)
Samples: TypeAlias = tuple[int, int, int]  # n_samples, at_once, in_flight: see `adapt`


class Adapted(NamedTuple):
    """The result of `adapt`: the adapted parameters, and the losses and parameters of every step."""

    params: Params  # all parameters, theta adapted
    inner_losses: tf.Tensor  # [n_steps, n_samples], before each step, with the regulariser's penalty
    path: list[Params]  # theta after 0..n_steps steps, n_steps + 1 dicts
    support_logits: list[tf.Tensor]  # n_steps tensors [support, way]; empty with more than one sample


def adapt(
    params: Params,
    support_x: tf.Tensor,
    support_y: tf.Tensor,
    config: Config,
    method: Method,
    noise: TaskNoise,
    n_samples: int = 1,
    at_once: int = 1,
    in_flight: int = 1,
) -> Adapted:
    """Adapts theta: theta_k+1 = theta_k - inner_lr * d/dtheta mean_j CE(support; theta_k, noise_kj), n_steps times.

    This is the equation of --inner=sgd without regulariser and adversary; for these see `tf_metadrop.methods.method`.

    Args:
      params: dict of parameters; those under theta/ are adapted, starting from these values.
      support_x: [way * shot, height, width, channels] in [0, 1]; or [tasks, ...], with tasks in theta/'s shapes too.
      support_y: one-hot, [way * shot, way]; or [tasks, ...].
      config: inner_lr, n_steps and second_order are read.
      method: see `tf_metadrop.methods.method`.
      noise: function (step, sample, layer, shape) -> standard normal noise, see `rng.StandardNormal`.
      n_samples: Monte Carlo samples of the noise per step; with more than one, there is no meta-gradient.
      at_once: number of samples that go through the network as one group; divides n_samples.
      in_flight: number of groups that may be computed in parallel.
    Returns:
      Adapted.
    """
    theta = of_theta(params)
    samples = n_samples, at_once, in_flight
    path, losses, logits = [theta], [], []
    for step in range(config.n_steps):

        def support_gradient(
            sample: int | tf.Tensor,
            watched: Any = theta,
            method: Method = method,
            theta: Params = theta,
            step: int = step,
        ) -> tuple[Any, tf.Tensor, tf.Tensor]:
            (x, y), draw = for_each(sample, support_x, support_y), partial(noise, step, sample)
            x = method.adversary.support({**params, **theta}, x, y, method, draw)
            with tf.GradientTape() as tape:
                tape.watch(watched)
                loss, out = network.loss({**params, **theta}, x, y, method, draw, config.second_order)
            return tape.gradient(loss, watched, unconnected_gradients=ZERO), loss, out

        if n_samples == 1:
            gradient, loss, out = support_gradient(0)
            loss = loss[..., tf.newaxis]
            logits.append(out)
        elif method.same_first_maps():
            gradient, loss = through_first_maps(support_gradient, params, theta, support_x, method, samples)
        else:
            gradient, loss = mean_over_samples(support_gradient, theta, *samples)
        if config.second_order == "first":
            gradient = tf.nest.map_structure(tf.stop_gradient, gradient)
        theta = method.inner.step(theta, gradient, params, config)
        path.append(theta)
        losses.append(loss)
    return Adapted({**params, **theta}, tf.stack(losses), path, logits)


def through_first_maps(
    support_gradient: SampleGradient, params: Params, theta: Params, x: tf.Tensor, method: Method, samples: Samples
) -> tuple[Params, tf.Tensor]:
    """`mean_over_samples` if all samples share mu and alpha of the first layer, which are then computed only once."""
    with tf.GradientTape() as tape:
        tape.watch(theta)
        mu, alpha = method.backbone.first({**params, **theta}, network.as_map(x, method)).maps()
    rest_of_network = partial(support_gradient, watched=(theta, mu), method=method._replace(first_maps=(mu, alpha)))
    (gradient, by_mu), loss = mean_over_samples(rest_of_network, (theta, mu), *samples)
    first = tape.gradient(mu, theta, by_mu, unconnected_gradients=ZERO)
    return {name: gradient[name] + first[name] for name in theta}, loss


def mean_over_samples(
    support_gradient: SampleGradient, like: Any, n_samples: int, at_once: int, in_flight: int
) -> tuple[Any, tf.Tensor]:
    """The mean gradient over the noise samples, in groups of `at_once`; memory does not grow with n_samples."""
    rounds, dtype = n_samples // at_once, tf.nest.flatten(like)[0].dtype

    def body(index: tf.Tensor, total: Any, losses: tf.TensorArray) -> tuple[tf.Tensor, Any, tf.TensorArray]:
        sample = index if at_once == 1 else index * at_once + tf.range(at_once)
        gradient, loss, _ = support_gradient(sample)
        total = tf.nest.map_structure(lambda t, g: t + up(g) / n_samples, total, gradient)
        return index + 1, total, losses.write(index, loss[..., tf.newaxis] if at_once == 1 else loss)

    zeros = tf.nest.map_structure(lambda t: up(tf.zeros_like(t)), like)  # a sum in bfloat16 would lose most samples
    start = 0, zeros, tf.TensorArray(dtype, rounds)
    _, total, losses = tf.while_loop(lambda index, *_: index < rounds, body, start, parallel_iterations=in_flight)
    total = tf.nest.map_structure(lambda t, of: tf.cast(t, of.dtype), total, like)
    return total, tf.concat(tf.unstack(losses.stack(), rounds), -1)


def for_each(sample: int | tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Repeats images and labels for several noise samples, on a new axis before the batch's; one sample needs none."""
    if not isinstance(sample, tf.Tensor) or sample.shape.rank == 0:
        return x, y
    axis, times = x.shape.rank - 4, sample.shape[0]
    return tf.stack([x] * times, axis), tf.stack([y] * times, axis)
