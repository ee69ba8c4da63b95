"""Meta-dropout's noise added instead of multiplied.

  block l:  x = mu + a,   a ~ N(alpha, 1),   mu = conv(h, theta_l),   alpha = conv(h, phi_l)
  dense:    as Meta-dropout's, which is additive already

Not sampling: a = alpha, and logits = f W + b. Our reading of the name; the paper's own definition could not be read.
"""

from tf_metadrop.methods.noise import metadrop


def features(params, layer, h, normal):
    """[batch, height, width, in] -> [batch, height, width, filters]; see the package for the arguments."""
    mu, alpha = metadrop.maps(params, layer, h)
    return mu + alpha if normal is None else mu + alpha + normal(alpha.shape)


logits, trained = metadrop.logits, metadrop.trained


class report:
    """The report's: a ~ N(1, (0.01 alpha)^2) when sampling; the 1 should have been a 0."""

    @staticmethod
    def features(params, layer, h, normal):
        """[batch, height, width, in] -> [batch, height, width, filters]."""
        mu, alpha = metadrop.maps(params, layer, h)
        return mu + alpha if normal is None else mu + 1 + 0.01 * alpha * normal(alpha.shape)

    logits, trained = staticmethod(metadrop.logits), staticmethod(metadrop.trained)
