"""Normalisations: every file in this folder is a value of --normalization, named after the file.

`Normalization` describes the interface of such a module. If the tasks are vectorised (on a GPU), x has more axes before
the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.types import Params


class Normalization(Protocol):
    """The normalisation of a block's features, with correct second-order gradients.

    Attributes:
      FROM_SUPPORT: whether query images are normalised by the `statistics` of the support images, from a pass without
        noise under the adapted weights. Otherwise `norm_relu` uses those of their own batch.

    A module may also have:
      norm(x, offset, statistics=None): norm_relu without the ReLU, for networks with another activation.
      norm_relu_pool(x, offset, statistics=None): the 2x2 max-pool of norm_relu, if that is faster than norm_relu and
        pool, and the statistics that were used; also for x in bfloat16.
      parameters(n_blocks): {name: shape} of parameters that it learns; they start at 0.
      at(params, block): the normalisation of block 1.. with these parameters.
    """

    FROM_SUPPORT: bool

    def statistics(self, x: tf.Tensor) -> Any:
        """Statistics of features x [..., batch, height, width, channels], by which other images can be normalised.

        They are a tuple of tensors, used instead of the statistics of a batch when a classifier predicts. The tuple is
        empty if every image is normalised by its own statistics.
        """

    def norm_relu(self, x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
        """relu(norm(x) + offset), for x [..., batch, height, width, channels] and offset [channels].

        Args:
          x: features.
          offset: offset of each channel.
          statistics: result of `statistics` for other images; None: those of x are used.
        """


def at(normalization: Normalization, params: Params, block: int) -> Normalization:
    """The normalisation of block 1.., with its learned parameters if it has any."""
    return normalization.at(params, block) if hasattr(normalization, "at") else normalization


_registry: Registry[Normalization] = Registry(__name__, __path__, Normalization)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
