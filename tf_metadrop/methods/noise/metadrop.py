"""Meta-dropout: input-dependent multiplicative noise, learned by the outer loop (Lee et al., ICLR 2020, section 3).

  block l:  x = mu * softplus(a),   a ~ N(alpha, 1),   mu = conv(h, theta_l),   alpha = conv(h, phi_l)
  dense:    logits ~ N(f W + b, s^2),   s = softplus(f Wp + bp), the same for every class

Not sampling: a = alpha, and logits = f W + b (TF1_BEHAVIOUR, "Network").
"""

from tf_metadrop.nn.layers import convs, dense, gate, gate_first, softplus


def maps(params, layer, h):
    """mu and alpha of a block, each [batch, height, width, filters]: all of it that does not depend on the noise."""
    theta = params[f"theta/conv{layer}_w"], params[f"theta/conv{layer}_b"]
    phi = params[f"phi/conv{layer}_w"], params[f"phi/conb{layer}_b"]
    return convs(h, theta, phi)


def features(params, layer, h, normal):
    """[batch, height, width, in] -> [batch, height, width, filters]; see the package for the arguments."""
    return perturb(layer, *maps(params, layer, h), normal)


def perturb(layer, mu, alpha, normal):
    """`features` from `maps`."""
    a = alpha if normal is None else alpha + normal(alpha.shape)
    return gate_first(mu, a) if layer == 1 else gate(mu, a)


def logits(params, f, normal):
    """[batch, features] -> [batch, way]."""
    mean = dense(f, params["theta/dense_w"], params["theta/dense_b"])
    if normal is None:
        return mean
    scale = softplus(dense(f, params["phi/dense_w"], params["phi/dense_b"]))
    return mean + scale * normal(mean.shape)


def trained(name):
    """Whether the outer loop updates this parameter."""
    return True
