"""No regulariser, and what one can change: see Regularizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.backbones import Backbone
    from tf_metadrop.nn.normalization import Normalization
    from tf_metadrop.nn.site import Block
    from tf_metadrop.nn.types import Params, PassNoise, Penalty


class Regularizer:
    """Where a regulariser can act. This one does nothing.

    `normal(number, shape)` draws standard normal noise, `number` from `Draw.REGULARIZER.at(n)`; it is None when the
    pass does not sample. Arrays may have axes of tasks and samples before those given; a penalty has those alone.
    """

    def parameters(self, backbone: Backbone) -> dict[str, tuple[int, ...]]:
        """{name: shape} of its own parameters; those under theta/ are adapted by the inner loop, the others not."""
        return {}

    def mix(self, y: tf.Tensor, normal: PassNoise | None) -> tuple[tf.Tensor, Any]:
        """The labels to learn from, of y [batch, way], and whatever `enter` needs to know of this pass."""
        return y, None

    def enter(self, layer: int, h: tf.Tensor, mixing: Any) -> tf.Tensor:
        """What block `layer`, counted from 1, gets instead of h [batch, height, width, channels]."""
        return h

    def leave(
        self, params: Params, block: Block, normalization: Normalization, normal: PassNoise | None
    ) -> tuple[tf.Tensor, Penalty]:
        """Output of a `nn.site.Block`, and a penalty."""
        return block.output(normalization), 0.0

    def last(self, params: Params, f: tf.Tensor, normal: PassNoise | None) -> tuple[tf.Tensor, Penalty]:
        """The last hidden features to go on with, [batch, features], and a penalty."""
        return f, 0.0


def make(config: Any, backbone: Backbone) -> Regularizer:
    """The Regularizer of this config."""
    return Regularizer()
