"""Noise on the kernels instead of the features, drawn once for each forward pass, all images alike.

  block l:  x = conv(h, w_l + s_l * e) + b_l,   e ~ N(0, 1),   s_l = softplus(r_l - 4), one for each output channel
  dense:    logits = f (W + s e) + b,   s = softplus(r - 4), the same for every class

r_l is phi's bias of layer l; it starts at 0, so that s starts at 0.018, the size of the initial kernels. phi's kernels
are not used. Not sampling: e = 0. Our reading of the name; the paper's own definition could not be read.
"""

import tensorflow as tf

from tf_metadrop.methods.noise import maml, metadrop
from tf_metadrop.nn.layers import conv, dense, gate, softplus

SHIFT = 4.0


def features(params, layer, h, normal):
    """[batch, height, width, in] -> [batch, height, width, filters]; see the package for the arguments."""
    if normal is None:
        return maml.features(params, layer, h, None)
    kernel, bias = params[f"theta/conv{layer}_w"], params[f"theta/conv{layer}_b"]
    scale = softplus(params[f"phi/conb{layer}_b"] - SHIFT)
    return with_noise(conv, h, 4, kernel, bias, scale, normal)


def logits(params, f, normal):
    """[batch, features] -> [batch, way]."""
    if normal is None:
        return maml.logits(params, f, None)
    scale = softplus(params["phi/dense_b"] - SHIFT)
    return with_noise(dense, f, 2, params["theta/dense_w"], params["theta/dense_b"], scale, normal)


def with_noise(layer, x, rank, kernel, bias, scale, normal):
    """layer(x, kernel + scale * e, bias); x has `rank` axes behind those of tasks and samples, each with its own e."""
    outer, shape = x.shape[:-rank], kernel.shape[-rank:]
    noise = scale * normal([*outer, *shape])
    if not outer:
        return layer(x, kernel + noise, bias)
    groups = tf.TensorShape(outer).num_elements()
    spread = lambda w, n: w if w.shape.rank == n else tf.reshape(w, [w.shape[0], *[1] * (len(outer) - 1), *w.shape[1:]])
    own = spread(kernel, rank) + noise
    own_bias = tf.broadcast_to(spread(bias, 1), [*outer, shape[-1]])
    flat = lambda t: tf.reshape(t, [groups, *t.shape[len(outer) :]])
    y = layer(flat(x), flat(own), flat(own_bias))
    return tf.reshape(y, [*outer, *y.shape[1:]])


def trained(name):
    """Whether the outer loop updates this parameter."""
    return not (name.startswith("phi/") and name.endswith("_w"))


class report:
    """The report's, on the features: a ~ N(1, alpha^2) when sampling, alpha = conv(h, phi_l) of either sign."""

    @staticmethod
    def features(params, layer, h, normal):
        """[batch, height, width, in] -> [batch, height, width, filters]."""
        if normal is None:
            return metadrop.features(params, layer, h, None)
        mu, alpha = metadrop.maps(params, layer, h)
        return gate(mu, 1 + alpha * normal(alpha.shape))

    logits, trained = staticmethod(metadrop.logits), staticmethod(metadrop.trained)
