"""No noise: plain MAML (Finn et al., 2017). phi exists, as in the TF1 program, but is neither used nor trained."""

from tf_metadrop.nn.layers import conv, dense


def features(params, layer, h, normal):
    """[batch, height, width, in] -> [batch, height, width, filters]; see the package for the arguments."""
    return conv(h, params[f"theta/conv{layer}_w"], params[f"theta/conv{layer}_b"])


def logits(params, f, normal):
    """[batch, features] -> [batch, way]."""
    return dense(f, params["theta/dense_w"], params["theta/dense_b"])


def trained(name):
    """Whether the outer loop updates this parameter."""
    return not name.startswith("phi/")
