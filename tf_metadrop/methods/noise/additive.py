"""Meta-dropout's noise added instead of multiplied.

  block l:  x = mu + a,   a ~ N(alpha, 1),   mu = conv(h, theta_l),   alpha = conv(h, phi_l)
  dense:    as Meta-dropout's, which is additive already

Not sampling: a = alpha, and logits = f W + b. Our reading of the name; the paper's own definition could not be read.
"""

from tf_metadrop.methods.noise import metadrop

SAMPLED, TRAINED_PHI = True, metadrop.TRAINED_PHI
logits = metadrop.logits


def features(site, normal):
    """[batch, height, width, in] -> [batch, height, width, filters]; see the package for the arguments."""
    mu, alpha = site.maps()
    return mu + alpha if normal is None else mu + alpha + normal(alpha.shape)


class report:
    """The report's: a ~ N(1, (0.01 alpha)^2) when sampling; the 1 should have been a 0."""

    SAMPLED, TRAINED_PHI = True, metadrop.TRAINED_PHI
    logits = staticmethod(metadrop.logits)

    @staticmethod
    def features(site, normal):
        """[batch, height, width, in] -> [batch, height, width, filters]."""
        mu, alpha = site.maps()
        return mu + alpha if normal is None else mu + 1 + 0.01 * alpha * normal(alpha.shape)
