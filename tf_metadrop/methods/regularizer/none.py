"""No regulariser, and what one can change: see Regularizer."""

from tf_metadrop.nn.layers import norm_relu_pool


class Regularizer:
    """Where a regulariser can act. This one does nothing.

    `normal(number, shape)` draws standard normal noise, `number` one of NUMBERS; it is None when the pass does not
    sample. Arrays may have axes of tasks and samples before those given; a penalty has those alone.
    """

    NUMBERS = range(6, 12)  # what rng.py counts as layers; 1 to 5 are the noise type's

    def parameters(self, spec):
        """{name: shape} of its own parameters; those under theta/ are adapted by the inner loop, the others not."""
        return {}

    def mix(self, y, normal):
        """The labels to learn from, of y [batch, way], and whatever `enter` needs to know of this pass."""
        return y, None

    def enter(self, layer, h, mixing):
        """What block `layer` (1..4) gets instead of h [batch, height, width, channels]."""
        return h

    def leave(self, params, layer, h, x, normal):
        """Output of block `layer` and a penalty, from its input h and what goes to its batch normalisation, x."""
        return norm_relu_pool(x, params[f"conv{layer}_bn/beta"]), 0.0

    def last(self, params, f, normal):
        """The last hidden features to go on with, [batch, features], and a penalty."""
        return f, 0.0


def make(config):
    """The Regularizer of this config."""
    return Regularizer()
