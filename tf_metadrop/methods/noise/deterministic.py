"""Meta-dropout without its noise: a is always alpha, its mean, in the inner loop too.

block l:  x = mu * softplus(alpha),   mu = conv(h, theta_l),   alpha = conv(h, phi_l)
dense:    logits = f W + b
"""

from tf_metadrop.methods.noise import maml, metadrop

SAMPLED, TRAINED_PHI = False, metadrop.TRAINED_PHI
logits = maml.logits


def features(site, normal):
    """[batch, height, width, in] -> [batch, height, width, filters]; see the package for the arguments."""
    return metadrop.features(site, None)
