"""Normalisations, one file each: a file added to this folder is a value of --normalization, by its name.

See `Normalization` for what such a module has. Where tasks run at once (on a GPU), x has more axes before the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.types import Params


class Normalization(Protocol):
    """What a block's features go through, right to second order.

    Attributes:
      FROM_SUPPORT: whether query images are normalised by the support images' `statistics`: those of a pass without
        noise under the adapted weights. Else they are by what `norm_relu` takes from their own batch.

    A module may also have

      norm(x, offset, statistics=None): the same as norm_relu without the ReLU, for networks with another activation;
      norm_relu_pool(x, offset): the 2x2 max-pool of norm_relu(x, offset), where that is faster; of x in bfloat16 too;
      norm_relu_pool_by(x, offset, statistics): the same by other images' statistics;
      parameters(n_blocks): {name: shape} of what it learns, with 0 to start from, and at(params, block): the
        normalisation of block 1.. with that.
    """

    FROM_SUPPORT: bool

    def statistics(self, x: tf.Tensor) -> Any:
        """What images are normalised by in the place of their own batch; () where they are so by themselves alone.

        A tuple of tensors, of features x [..., batch, height, width, channels] of other images: those that
        a classifier was adapted to.
        """

    def norm_relu(self, x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
        """relu(norm(x) + offset), for x [..., batch, height, width, channels] and offset [channels].

        Args:
          statistics: of `statistics`; None: of x.
        """


def at(normalization: Normalization, params: Params, block: int) -> Normalization:
    """The normalisation of block 1.., with what it has learned."""
    return normalization.at(params, block) if hasattr(normalization, "at") else normalization


_registry: Registry[Normalization] = Registry(__name__, __path__, Normalization)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
