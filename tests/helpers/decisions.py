"""Which element each max-pool takes and which features each ReLU lets through: recorded in one run, given to another.

Between two runs with the same decisions the network is smooth, so that what separates float32 from float64 is rounding
alone: without them one decision at a tie may fall the other way, and after some inner steps everything differs.
"""

import tensorflow as tf

from tf_metadrop.algorithm import inner_loop
from tf_metadrop.nn import fused, layers

TINY = 1e-30


def with_decisions(function, patch):
    """A compiled (params, task, given) -> (function(params, task), decisions).

    Args:
      function: of params and task; pools, ReLUs and noise samples must be in no loop but adapt's over the samples.
      patch: makes a context with setattr(object, name, value), undone at its end.
    Given decisions (a list as returned) take the place of those of the run; None: the run's own are taken.
    """

    @tf.function(autograph=False)
    def run(params, task, given):
        decisions = Decisions(given)
        with patch() as p:
            p.setattr(layers, "max_pool", decisions.max_pool)
            p.setattr(tf.nn, "relu", decisions.relu)
            p.setattr(fused, "relu_affine", decisions.relu_affine)
            p.setattr(inner_loop, "mean_over_samples", mean_over_samples)
            return function(params, task), decisions.found

    return run


class Decisions:
    """Stand-ins for max-pool and ReLU that follow `given`, and keep what was decided in `found`."""

    def __init__(self, given):
        self._given, self.found = given, []

    def _take(self, own):
        self.found.append(own if self._given is None else self._given[len(self.found)])
        return self.found[-1]

    def relu(self, x):
        return x * tf.cast(self._take(x > 0), x.dtype)

    def relu_affine(self, x, shift, scale, offset):
        """Its derivatives let those features pass that are above 0: also those that a rounding has put below it."""
        z = (tf.cast(x, shift.dtype) + shift) * scale + offset
        return tf.cast(tf.where(self._take(z > 0), tf.maximum(z, TINY), 0), x.dtype)

    def max_pool(self, x):
        place = self._take(fused.pool(x)[1])
        return fused.take(x, place), place


def mean_over_samples(support_gradient, like, n_samples, at_once, in_flight):
    """adapt.mean_over_samples without a loop, out of which no decisions could be had."""
    gradients, losses, _ = zip(*[support_gradient(sample) for sample in range(n_samples)], strict=True)
    return tf.nest.map_structure(lambda *parts: tf.reduce_mean(parts, 0), *gradients), tf.stack(losses)
