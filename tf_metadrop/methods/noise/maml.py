"""No noise: plain MAML (Finn et al., 2017). phi exists, as in the TF1 program, but is neither used nor trained."""

SAMPLED, TRAINED_PHI = False, ()
report = None


def features(site, normal):
    """[batch, height, width, in] -> [batch, height, width, filters]; see the package for the arguments."""
    return site.mu()


def logits(site, normal):
    """[batch, features] -> [batch, way]."""
    return site.mu()
