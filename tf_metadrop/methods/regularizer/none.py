"""No regulariser; and `Regularizer`, the class that other regularisers derive from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.backbones import Backbone
    from tf_metadrop.nn.normalization import Normalization
    from tf_metadrop.nn.site import Block
    from tf_metadrop.nn.types import Params, PassNoise, Penalty


class Regularizer:
    """The places where a regulariser can act; this base class does nothing.

    `normal(number, shape)` draws standard normal noise, with `number` from `Draw.REGULARIZER.at(n)`; it is None if the
    pass does not sample. Arrays may have axes of tasks and samples before those given here; a penalty has only these.
    """

    def parameters(self, backbone: Backbone) -> dict[str, tuple[int, ...]]:
        """{name: shape} of its own parameters; the inner loop adapts those under theta/ and no others."""
        return {}

    def mix(self, y: tf.Tensor, normal: PassNoise | None) -> tuple[tf.Tensor, Any]:
        """The labels to learn from, made from y [batch, way], and the argument `mixing` of `enter` for this pass."""
        return y, None

    def enter(self, layer: int, h: tf.Tensor, mixing: Any) -> tf.Tensor:
        """The input of block `layer`, counted from 1, from the features h [batch, height, width, channels]."""
        return h

    def leave(
        self, params: Params, block: Block, normalization: Normalization, normal: PassNoise | None
    ) -> tuple[tf.Tensor, Penalty]:
        """The output of a `nn.site.Block`, and a penalty."""
        return block.output(normalization), 0.0

    def last(self, params: Params, f: tf.Tensor, normal: PassNoise | None) -> tuple[tf.Tensor, Penalty]:
        """The last hidden features, made from f [batch, features], and a penalty."""
        return f, 0.0


def make(config: Any, backbone: Backbone) -> Regularizer:
    """The Regularizer of this config."""
    return Regularizer()
