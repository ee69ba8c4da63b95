"""No noise: plain MAML (Finn et al., 2017). phi exists, as in the TF1 program, but is neither used nor trained."""

from tf_metadrop.ops import conv, dense


def features(params, layer, h, normal):
    return conv(h, params[f"theta/conv{layer}_w"], params[f"theta/conv{layer}_b"])


def logits(params, f, normal):
    return dense(f, params["theta/dense_w"], params["theta/dense_b"])


def trained(name):
    return not name.startswith("phi/")
