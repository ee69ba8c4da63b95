"""Multiplicative noise whose mean is learned, one for each channel, and does not depend on the input.

  block l:  x = mu * softplus(a),   a ~ N(m_l, 1),   mu = conv(h, theta_l)
  dense:    logits ~ N(f W + b, s^2),   s = softplus(m_5)

m_l is phi's bias of layer l: this is Meta-dropout with phi's kernels at zero. Not sampling: a = m_l, and logits =
f W + b. Our reading of the name; the paper's own definition could not be read.
"""

import tensorflow as tf

from tf_metadrop.methods.noise import maml, metadrop
from tf_metadrop.nn.layers import convs, gate, softplus


def features(params, layer, h, normal):
    """[batch, height, width, in] -> [batch, height, width, filters]; see the package for the arguments."""
    mu = maml.features(params, layer, h, normal)
    m = tf.broadcast_to(params[f"phi/conb{layer}_b"], mu.shape)
    return gate(mu, m if normal is None else m + normal(mu.shape))


def logits(params, f, normal):
    """[batch, features] -> [batch, way]."""
    mean = maml.logits(params, f, normal)
    return mean if normal is None else mean + softplus(params["phi/dense_b"]) * normal(mean.shape)


def trained(name):
    """Whether the outer loop updates this parameter."""
    return not (name.startswith("phi/") and name.endswith("_w"))


class report:
    """The report's: a ~ N(conv(1, phi_l), 1) when sampling, 1 an image of ones; not sampling a = conv(h, phi_l)."""

    @staticmethod
    def features(params, layer, h, normal):
        """[batch, height, width, in] -> [batch, height, width, filters]."""
        if normal is None:
            return metadrop.features(params, layer, h, None)
        mu = maml.features(params, layer, h, normal)
        phi = params[f"phi/conv{layer}_w"], params[f"phi/conb{layer}_b"]
        return gate(mu, convs(tf.ones_like(h), phi)[0] + normal(mu.shape))

    logits, trained = staticmethod(metadrop.logits), staticmethod(metadrop.trained)
