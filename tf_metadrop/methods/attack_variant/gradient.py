"""Steps along the gradient itself, over all pixels: a weaker attack, which the paper's L1 and L2 curves look like.

Source: docs/reference/methods/attacks.md, "Variants".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

from tf_metadrop.methods.attack_variant.pgd import as_vectors, ascend, unit

if TYPE_CHECKING:
    from tf_metadrop.methods.attack import Norm
    from tf_metadrop.nn.types import Shape

STARTS = False


def perturb(
    x: tf.Tensor,
    loss: Callable[[tf.Tensor], tf.Tensor],
    norm: Norm,
    eps: float | tf.Tensor,
    steps: int,
    normal: Callable[[Shape], tf.Tensor] | None = None,
) -> tf.Tensor:
    """Computes images near x with a larger loss; the arguments are those of `pgd.perturb`.

      d <- d + eps / steps * g / size(g);  d <- clip(x + d, 0, 1) - x;   `steps` times from d = 0, with g = dloss/dx

    All steps together are as long as the radius, so d stays in the ball. No random start is used, and `normal` is
    ignored. What a step would change beyond black and white is lost.
    """
    flat, eps = as_vectors(x, eps)

    def moved(d: tf.Tensor, g: tf.Tensor) -> tf.Tensor:
        g = unit(g)
        far = d + eps / steps * tf.math.divide_no_nan(g, norm.size(g))
        return tf.clip_by_value(flat + far, 0, 1) - flat

    return ascend(flat, x.shape, loss, moved, tf.zeros_like(flat), steps)
