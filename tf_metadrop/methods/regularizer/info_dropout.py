"""Information dropout in every block (Achille & Soatto, 2018), for ReLU features and the log-uniform prior.

  z = relu(batch_norm(x)) * e,   log e ~ N(0, a^2),   a = 0.001 + 0.7 * sigmoid(conv(h, K_l))
  loss = CE + beta * KL,   KL = -log(a / 0.701), summed over units and blocks, mean over examples

of the inner and the outer loop; h is the block's input, and z goes to its max-pool. Not sampling: e = 1. K_l is adapted
with theta. The paper's setting could not be read; all four blocks, and K_l in theta, are our choice.
"""

import tensorflow as tf

from tf_metadrop.data.spec import LAYERS
from tf_metadrop.methods.regularizer.none import Regularizer
from tf_metadrop.nn.layers import conv, norm_relu, pool

LEAST, RANGE = 0.001, 0.7


class InfoDropout(Regularizer):
    """beta: weight of the KL, in nats per nat."""

    def __init__(self, beta):
        self.beta = beta

    def parameters(self, spec):
        """theta/info{1..4}_w, [3, 3, in, filters], and theta/info{1..4}_b."""
        found = {}
        for layer in LAYERS:
            channels = spec.channels if layer == 1 else spec.filters
            found |= {f"theta/info{layer}_w": (3, 3, channels, spec.filters), f"theta/info{layer}_b": (spec.filters,)}
        return found

    def leave(self, params, layer, h, x, normal):
        """The pooled z and beta * KL of block `layer`."""
        z = norm_relu(x, params[f"conv{layer}_bn/beta"])
        a = LEAST + RANGE * tf.sigmoid(conv(h, params[f"theta/info{layer}_w"], params[f"theta/info{layer}_b"]))
        kl = tf.reduce_mean(tf.reduce_sum(-tf.math.log(a / (LEAST + RANGE)), [-3, -2, -1]), -1)
        if normal is not None:
            z = z * tf.exp(a * normal(self.NUMBERS[layer], a.shape))
        return pool(z), self.beta * kl


def make(config):
    """The Regularizer of this config."""
    return InfoDropout(config.info_beta)
