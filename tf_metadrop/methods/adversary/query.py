"""Adversarial querying: the outer loss is taken on PGD examples of the query images, against the adapted weights.

Adaptation itself stays as it is; so does meta-testing.
"""

from tf_metadrop.methods.adversary import none


class Query(none.Adversary):
    """See the module."""

    def query(self, params, x, y, method, normal):
        """Adversarial query images."""
        return self.perturb(params, x, y, method, normal)


def make(config):
    """The Adversary of this config."""
    return Query(*none.make(config))
