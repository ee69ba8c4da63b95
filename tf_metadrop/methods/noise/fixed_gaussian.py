"""Multiplicative noise of a fixed distribution: nothing about it is learned.

  block l:  x = mu * softplus(a),   a ~ N(0, 1),   mu = conv(h, theta_l)
  dense:    logits ~ N(f W + b, s^2),   s = softplus(0)

Not sampling: a = 0, and logits = f W + b. Our reading of the name; the paper's own definition could not be read.
"""

import math

import tensorflow as tf

from tf_metadrop.methods.noise import maml, metadrop

SCALE = math.log(2)  # softplus(0)


def features(params, layer, h, normal):
    """[batch, height, width, in] -> [batch, height, width, filters]; see the package for the arguments."""
    mu = maml.features(params, layer, h, normal)
    return mu * SCALE if normal is None else mu * tf.nn.softplus(normal(mu.shape))


def logits(params, f, normal):
    """[batch, features] -> [batch, way]."""
    mean = maml.logits(params, f, normal)
    return mean if normal is None else mean + SCALE * normal(mean.shape)


def trained(name):
    """Whether the outer loop updates this parameter."""
    return not name.startswith("phi/")


class report:
    """The report's: a ~ N(1, 1) when sampling; not sampling a = alpha = conv(h, phi_l), so the query trains phi."""

    @staticmethod
    def features(params, layer, h, normal):
        """[batch, height, width, in] -> [batch, height, width, filters]."""
        if normal is None:
            return metadrop.features(params, layer, h, None)
        mu = maml.features(params, layer, h, normal)
        return mu * tf.nn.softplus(1 + normal(mu.shape))

    logits, trained = staticmethod(metadrop.logits), staticmethod(metadrop.trained)
