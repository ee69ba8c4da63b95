"""Adversarial training in the inner loop: every step learns from PGD examples of the support images.

They are made anew at each step, against the weights adapted so far; meta-testing adapts in the same way. The recipe of
the paper's "Adv." curves could not be read; this is our choice.
"""

from tf_metadrop.methods.adversary import none


class Inner(none.Adversary):
    """See the module."""

    def support(self, params, x, y, method, normal):
        """Adversarial support images."""
        return self.perturb(params, x, y, method, normal)


def make(config):
    """The Adversary of this config."""
    return Inner(*none.make(config))
