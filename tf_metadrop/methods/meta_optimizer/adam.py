"""Adam in the form that the TF1 program uses (Kingma & Ba, end of section 2).

m = b1 m + (1 - b1) g,   v = b2 v + (1 - b2) g^2,   w = w - lr sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params, Slots

SLOTS = "m", "v"
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def step(params: Params, slots: Slots, gradient: Params, rate: float, t: tf.Tensor) -> tuple[Params, Slots]:
    """Computes one step; see `MetaOptimizer.step` for the arguments."""
    after, m, v = {}, {}, {}
    rate = rate * tf.sqrt(1 - BETA2**t) / (1 - BETA1**t)
    for name, g in gradient.items():
        m[name] = BETA1 * slots["m"][name] + (1 - BETA1) * g
        v[name] = BETA2 * slots["v"][name] + (1 - BETA2) * tf.square(g)
        after[name] = params[name] - rate * m[name] / (tf.sqrt(v[name]) + EPSILON)
    return after, {"m": m, "v": v}
