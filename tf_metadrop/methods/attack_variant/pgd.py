"""Projected gradient descent on images, untargeted (Madry et al., 2018), under the norms of methods/attack."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from tf_metadrop.methods.attack import Norm
    from tf_metadrop.nn.types import Shape

STARTS = True
STEP = 2.5  # total size of all steps, in radii


def perturb(
    x: tf.Tensor,
    loss: Callable[[tf.Tensor], tf.Tensor],
    norm: Norm,
    eps: float | tf.Tensor,
    steps: int,
    normal: Callable[[Shape], tf.Tensor] | None = None,
) -> tf.Tensor:
    """Computes images near x with a larger loss.

      d <- project(d + 2.5 eps / steps * ascent(dloss/dx));  d <- clip(x + d, 0, 1) - x;   `steps` times

    Clipping to [0, 1] moves no pixel away from x, so d stays in the ball. Before ascent, the gradient is set to zero at
    pixels that are at 0 or 1 and would leave [0, 1]: L1 moves only few pixels, and would waste its steps on these.

    Args:
      x: [..., batch, height, width, channels] in [0, 1].
      loss: a differentiable function of such images -> [...]. No tape should watch its other inputs.
      norm: see `tf_metadrop.methods.attack`.
      eps: radius: a number, or [...] for one radius per batch.
      steps: number of steps of the attack.
      normal: function shape -> standard normal noise, for a random start in the ball; None: the start is x.
    Returns:
      The images, which are constants for any gradient.
    """
    shape = x.shape
    x, eps = as_vectors(x, eps)
    inside = lambda d: tf.clip_by_value(x + d, 0, 1) - x

    def moved(d: tf.Tensor, g: tf.Tensor) -> tf.Tensor:
        now = x + d
        free = tf.logical_or(tf.logical_and(now > 0, g < 0), tf.logical_and(now < 1, g > 0))
        direction = norm.ascent(tf.where(free, g, tf.zeros_like(g)))
        return inside(norm.project(d + STEP / steps * eps * direction, eps))

    first = tf.zeros_like(x)
    if normal is not None:
        first = inside(norm.start(normal([*x.shape[:-1], x.shape[-1] + 1]), eps))
    return ascend(x, shape, loss, moved, first, steps)


def ascend(
    x: tf.Tensor,
    shape: tf.TensorShape,
    loss: Callable[[tf.Tensor], tf.Tensor],
    moved: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    d: tf.Tensor,
    steps: int,
) -> tf.Tensor:
    """The images after `steps` times d <- moved(d, dloss/dx), in this shape; x and d are vectors, see `as_vectors`."""

    def step(index: tf.Tensor, d: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(d)
            total = tf.reduce_sum(loss(tf.reshape(x + d, shape)))
        return index + 1, moved(d, tape.gradient(total, d))

    _, d = tf.while_loop(lambda index, _: index < steps, step, (0, d), parallel_iterations=1)
    return tf.stop_gradient(tf.reshape(x + d, shape))


def as_vectors(x: tf.Tensor, eps: float | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The images as vectors [..., batch, pixels], and radii that broadcast against them; x, eps: see `perturb`."""
    flat = tf.reshape(x, [*x.shape[:-3], math.prod(x.shape[-3:])])
    eps = tf.cast(eps, x.dtype)
    return flat, tf.reshape(eps, [*eps.shape, *[1] * (flat.shape.rank - eps.shape.rank)])


def unit(g: tf.Tensor) -> tf.Tensor:
    """Divides g [..., pixels] by its largest absolute value, so that small gradients do not underflow when squared."""
    return tf.math.divide_no_nan(g, tf.reduce_max(tf.abs(g), -1, keepdims=True))


def radius(normal: tf.Tensor) -> tf.Tensor:
    """The radius of a uniform point of the unit ball of [..., pixels], from the first of normal [..., pixels + 1]."""
    uniform = tf.math.erfc(-normal[..., :1] / 2**0.5) / 2
    return uniform ** (1 / (normal.shape[-1] - 1))
