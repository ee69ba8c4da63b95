"""Meta-dropout without its noise: a is always alpha, its mean, in the inner loop too.

block l:  x = mu * softplus(alpha),   mu = conv(h, theta_l),   alpha = conv(h, phi_l)
dense:    logits = f W + b
"""

from tf_metadrop.methods.noise import maml, metadrop


def features(params, layer, h, normal):
    """[batch, height, width, in] -> [batch, height, width, filters]; see the package for the arguments."""
    return metadrop.features(params, layer, h, None)


logits, trained = maml.logits, metadrop.trained
