"""No regulariser, and what one can change: see Regularizer."""


class Regularizer:
    """Where a regulariser can act. This one does nothing.

    `normal(number, shape)` draws standard normal noise, `number` from `Draw.REGULARIZER.at(n)`; it is None when the
    pass does not sample. Arrays may have axes of tasks and samples before those given; a penalty has those alone.
    """

    def parameters(self, backbone):
        """{name: shape} of its own parameters; those under theta/ are adapted by the inner loop, the others not."""
        return {}

    def mix(self, y, normal):
        """The labels to learn from, of y [batch, way], and whatever `enter` needs to know of this pass."""
        return y, None

    def enter(self, layer, h, mixing):
        """What block `layer`, counted from 1, gets instead of h [batch, height, width, channels]."""
        return h

    def leave(self, params, block, normalization, normal):
        """Output of a `nn.site.Block`, and a penalty."""
        return block.output(normalization), 0.0

    def last(self, params, f, normal):
        """The last hidden features to go on with, [batch, features], and a penalty."""
        return f, 0.0


def make(config, backbone):
    """The Regularizer of this config."""
    return Regularizer()
