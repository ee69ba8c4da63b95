"""TaskNorm-I (Bronskill et al., https://arxiv.org/abs/2003.03284): moments of the support set and of the image, mixed.

  m = A m_S + (1 - A) m_x;   v = A (v_S + (m_S - m)^2) + (1 - A) (v_x + (m_x - m)^2);   A = sigmoid(s n + o)

m_S and v_S are the moments of the support images, as in support.py, and m_x and v_x those of one image. n is the number
of support images. s and o are learned scalars of each block, and start at 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tf_metadrop.nn import layers, moments
from tf_metadrop.nn.normalization import batch, instance
from tf_metadrop.nn.normalization.batch import EPSILON

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params

FROM_SUPPORT = True


def parameters(n_blocks: int) -> dict[str, tuple[int, ...]]:
    """Shapes of tasknorm/s{1..} and tasknorm/o{1..}, which are scalars."""
    return {f"tasknorm/{name}{block}": () for block in range(1, n_blocks + 1) for name in "so"}


class Block:
    """The normalisation of one block."""

    FROM_SUPPORT = True

    def __init__(self, s: tf.Tensor | float, o: tf.Tensor | float):
        self._s, self._o = s, o

    def statistics(self, x: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """(m_S, v_S, n) of support images x."""
        return *batch.statistics(x), tf.constant(x.shape[-4], x.dtype)

    def norm_relu(self, x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
        """relu(norm(x, offset, statistics))."""
        return tf.nn.relu(self.norm(x, offset, statistics))

    def norm_relu_pool(self, x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tuple[tf.Tensor, Any]:
        """max_pool(relu(norm(x, offset, statistics))), where the pool is computed first as in batch.py."""
        pooled, means, variances = moments.pool_and_moments(x, per_image=True)
        statistics = statistics or of_images(means, variances, x)
        m, v = self._mixed(statistics, layers.spread(means, x), layers.spread(variances, x))
        return batch.relu_of_pooled(pooled, m, v, offset), statistics

    def norm(self, x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
        """(x - m) / sqrt(v + epsilon) + offset."""
        m, v = self._mixed(statistics or self.statistics(x), *instance.moments(x))
        return (x - m) * tf.math.rsqrt(v + EPSILON) + offset

    def _mixed(self, statistics: Any, m_x: tf.Tensor, v_x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        m_s, v_s, n = statistics
        share = tf.sigmoid(self._s * n + self._o)
        m = share * m_s + (1 - share) * m_x
        return m, share * (v_s + (m_s - m) ** 2) + (1 - share) * (v_x + (m_x - m) ** 2)


def of_images(means: tf.Tensor, variances: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """(m_S, v_S, n) of support images x, from the moments of each image, [..., batch, channels]."""
    mean, variance = moments.together(means, variances, -2)
    return batch.as_statistic(mean, x), batch.as_statistic(variance, x), tf.constant(x.shape[-4], means.dtype)


def at(params: Params, block: int) -> Block:
    """The normalisation of block 1.. with its learned scalars."""
    return Block(params[f"tasknorm/s{block}"], params[f"tasknorm/o{block}"])


START = Block(0.0, 0.0)  # every block before training
statistics, norm, norm_relu, norm_relu_pool = START.statistics, START.norm, START.norm_relu, START.norm_relu_pool
