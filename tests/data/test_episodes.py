"""Episodes are those of the original program, number for number."""

import numpy as np
import pytest

from tf_metadrop.data.episodes import draw
from tf_metadrop.errors import UsageError

# Recorded from the original program's draws: numpy.random.seed(1234), 1692 classes of 20, 5-way, 2 support, 3 query.
FIRST_SUPPORT = [12690, 12696, 29194, 29189, 287, 280, 20816, 20803, 23112, 23109]
FIRST_QUERY = [12695, 12691, 12693, 29197, 29187, 29185, 296, 298, 292, 20815, 20818, 20805, 23107, 23111, 23110]
SECOND_SUPPORT = {
    "shared_classes": [12685, 12691, 29193, 29181, 286, 297, 20812, 20808, 23108, 23107],
    "independent": [31675, 31672, 19349, 19340, 20139, 20134, 16454, 16451, 28464, 28473],
}
SECOND_QUERY = {
    "shared_classes": [
        12689,
        12688,
        12698,
        29184,
        29198,
        29195,
        287,
        295,
        288,
        20814,
        20817,
        20819,
        23115,
        23110,
        23109,
    ],
    "independent": [
        31665,
        31664,
        31667,
        19355,
        19345,
        19357,
        20129,
        20133,
        20131,
        16444,
        16446,
        16450,
        28467,
        28460,
        28469,
    ],
}
THIRD_CALL_LAST_QUERY = {
    "shared_classes": [8300, 8315, 8314, 30985, 30983, 30986, 1025, 1020, 1033, 3593, 3596, 3581, 14441, 14457, 14440],
    "independent": [30324, 30327, 30332, 26988, 26980, 26999, 10432, 10436, 10435, 191, 182, 190, 31081, 31098, 31099],
}


@pytest.mark.parametrize("mode", ["shared_classes", "independent"])
def test_draws_the_recorded_episodes(mode):
    rng = np.random.RandomState(1234)
    calls = [draw(rng, 1692, 20, way=5, shot=2, query=3, metabatch=2, episodes=mode) for _ in range(3)]
    support, query = calls[0]
    assert support.dtype == query.dtype == np.int32
    assert support.shape == (2, 10) and query.shape == (2, 15)
    assert support.tolist() == [FIRST_SUPPORT, SECOND_SUPPORT[mode]]
    assert query.tolist() == [FIRST_QUERY, SECOND_QUERY[mode]]
    assert calls[2][1][1].tolist() == THIRD_CALL_LAST_QUERY[mode]


def test_support_and_query_are_disjoint_and_ordered_by_class():
    support, query = draw(np.random.RandomState(0), 7, 6, way=7, shot=2, query=4, metabatch=3, episodes="independent")
    for task in range(3):
        assert sorted([*support[task], *query[task]]) == list(range(42))
        assert (support[task].reshape(7, 2) // 6 == query[task].reshape(7, 4)[:, :2] // 6).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"way": 8}, "--way 8 is more than the 7 classes"),
        ({"shot": 3, "query": 4}, "--shot 3 and --query 4 need 7 images"),
        ({"shot": 0}, "--shot 0 is too small"),
        ({"query": 0}, "--query 0 is too small"),
        ({"metabatch": -1}, "--metabatch -1 is too small"),
        ({"episodes": "both"}, "--episodes both is not known"),
    ],
)
def test_impossible_episodes_are_refused_and_leave_the_generator_alone(change, words):
    rng = np.random.RandomState(0)
    arguments = {"way": 5, "shot": 1, "query": 2, "metabatch": 2, "episodes": "independent"} | change
    with pytest.raises(UsageError, match=words):
        draw(rng, 7, 6, **arguments)
    assert rng.randint(1 << 30) == np.random.RandomState(0).randint(1 << 30)
