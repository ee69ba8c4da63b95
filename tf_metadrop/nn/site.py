"""Sites of noise: a layer of a backbone, in the form that a noise type gets, without names of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from tf_metadrop.nn import layers

if TYPE_CHECKING:
    from tf_metadrop.nn.normalization import Normalization
    from tf_metadrop.nn.types import Shape


class Weights(NamedTuple):
    """Kernel and bias of a layer; if the tasks are vectorised, theta's begin with an axis of tasks.

    The bias of theta may be None; phi always has a bias.
    """

    kernel: tf.Tensor
    bias: Any

    def scaled(self, factor: Any) -> Weights:
        """The layer times a factor, or times one factor for each channel."""
        return Weights(self.kernel * factor, None if self.bias is None else self.bias * factor)

    def plus(self, other: Weights) -> Weights:
        """The sum of two layers of the same input."""
        return Weights(self.kernel + other.kernel, other.bias if self.bias is None else self.bias + other.bias)


class Site(NamedTuple):
    """A layer, mu = affine(h, theta) and alpha = affine(h, phi), before any noise.

    Attributes:
      number: number of the layer, counted from 1 at the input.
      h: input of the layer, [..., batch, height, width, channels] or [..., batch, features].
      affine: (h, *weights) -> the layer's result for each of several Weights, as `layers.convs` and `layers.denses`.
      theta: its weights, adapted by the inner loop.
      phi: weights of the noise generator; those of the last layer have one output for all classes.
      first: whether h is the images, so that alpha does not depend on theta.
      normalized: whether a block's normalisation follows (`Blocks.leave`).
      given: (mu, alpha) if they were computed before, without the axis of samples that h may have.
    """

    number: int
    h: tf.Tensor
    affine: Callable
    theta: Weights
    phi: Weights
    first: bool = False
    normalized: bool = True
    given: tuple[tf.Tensor, tf.Tensor] | None = None

    def mu(self) -> tf.Tensor:
        """The layer without noise."""
        return self.maps()[0] if self.given else self.affine(self.h, self.theta)[0]

    def alpha(self, h: tf.Tensor | None = None) -> tf.Tensor:
        """The result of the noise generator, for the layer's input or for another one, `h`."""
        return self.affine(self.h if h is None else h, self.phi)[0]

    def maps(self) -> tuple[tf.Tensor, tf.Tensor]:
        """(mu, alpha), computed together."""
        if self.given is None:
            mu, alpha = self.affine(self.h, self.theta, self.phi)
            return mu, alpha
        more = self.h.shape.rank - self.given[0].shape.rank  # 1 with an axis of samples, which is before the batch
        rank = self.phi.kernel.shape.rank  # of h without tasks and samples; the map can have another size than h
        outer = self.h.shape[:-rank]
        spread = lambda m: tf.broadcast_to(tf.expand_dims(m, -1 - rank), [*outer, *m.shape[-rank:]]) if more else m
        mu, alpha = map(spread, self.given)
        return mu, alpha

    def with_noisy_kernel(self, draw: Callable[[Shape], tf.Tensor]) -> tf.Tensor:
        """The layer with `draw(shape)` added to theta's kernel; each task and each sample has its own kernel."""
        kernel, bias = self.theta
        rank = self.phi.kernel.shape.rank  # rank of one kernel, and of h without tasks and samples
        outer, shape = self.h.shape[:-rank], kernel.shape[-rank:]
        noise = draw([*outer, *shape])
        if not outer:
            return self.affine(self.h, Weights(kernel + noise, bias))[0]
        groups = tf.TensorShape(outer).num_elements()

        def spread(w: tf.Tensor, n: int) -> tf.Tensor:
            return w if w.shape.rank == n else tf.reshape(w, [w.shape[0], *[1] * (len(outer) - 1), *w.shape[1:]])

        own = spread(kernel, rank) + noise
        flat = lambda t: tf.reshape(t, [groups, *t.shape[len(outer) :]])
        own_bias = None if bias is None else flat(tf.broadcast_to(spread(bias, 1), [*outer, shape[-1]]))
        y = self.affine(flat(self.h), Weights(flat(own), own_bias))[0]
        return tf.reshape(y, [*outer, *y.shape[1:]])


class Block(NamedTuple):
    """The operations between a layer with noise and the next one.

    Attributes:
      number: number of the block, counted from 1.
      h: input of the block.
      x: result of the layer with its noise.
      offset: offset of the normalisation, [channels].
      pool: the last operation of the block, after normalisation and activation; None: there is none.
      affine: (h, kernel, bias) -> the result of a layer like that of this block.
      rest: is added after the normalisation and before the activation; None: nothing is added.
      activation: the activation; None: ReLU.
    """

    number: int
    h: tf.Tensor
    x: tf.Tensor
    offset: tf.Tensor
    pool: Callable | None
    affine: Callable
    rest: tf.Tensor | None = None
    activation: Callable | None = None

    def output(self, normalization: Normalization) -> tf.Tensor:
        """The output of the block, with a normalisation of `tf_metadrop.nn.normalization`."""
        fused = getattr(normalization, "norm_relu_pool", None)
        if fused and self.pool is layers.pool and self.rest is self.activation is None:
            return fused(self.x, self.offset)[0]
        return self.end(self.activated(normalization))

    def activated(self, normalization: Normalization) -> tf.Tensor:
        """The features of the block after normalisation and activation, before its pool."""
        if self.rest is self.activation is None:
            return normalization.norm_relu(self.x, self.offset)
        z = normalization.norm(self.x, self.offset)  # type: ignore[attr-defined]
        z = z if self.rest is None else z + self.rest
        return (self.activation or tf.nn.relu)(z)

    def end(self, z: tf.Tensor) -> tf.Tensor:
        """The output of the block, from its features after normalisation and activation."""
        return self.pool(z) if self.pool else z
