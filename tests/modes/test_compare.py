"""The numbers of a comparison of two runs."""

import numpy as np

from tf_metadrop.modes import compare


def test_the_distance_of_weights_in_parts_of_nothing_is_none():
    (row,) = compare.weights({"b": np.zeros(3)}, {"b": np.full(3, 2.0)})
    assert row["relative"] is None and row["distance"] == row["second"] > 3


def test_verdicts():
    difference = dict(logits=1.0, accuracy=0.5, interval=0.6, tasks=9)
    assert "the test shows no difference in accuracy (+0.50 +- 0.60" in compare.verdict(difference, ("a", "b"))
    assert "b is better than a by 0.70" in compare.verdict({**difference, "accuracy": 0.7}, ("a", "b"))
    assert "a is better than b by 0.70" in compare.verdict({**difference, "accuracy": -0.7}, ("a", "b"))
