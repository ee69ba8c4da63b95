"""Intervals over test tasks and training seeds."""

import numpy as np
import pytest

from tf_metadrop.analysis import seeds
from tf_metadrop.util.interval import interval


def test_the_spread_pools_the_variances_of_settings():
    assert seeds.spread([np.array([90.0])]) is None and seeds.spread([]) is None
    found = seeds.spread([np.array([90.0, 92]), np.array([50.0]), np.array([83.0, 86, 89])])
    assert found == (pytest.approx(np.sqrt((2 * 1 + 3 * 6) / 3)), 3)  # 1 and 2 degrees of freedom


def test_a_setting_far_from_the_others_widens_its_own_interval_alone():
    near, far = [np.array([90.0, 92]), np.array([93.0, 94])], np.array([60.0, 70])
    usual = np.sqrt((2 * 1 + 2 * 0.25) / 2), 2
    assert seeds.spread([*near, far]) == seeds.spread([*near, far], near[0]) == pytest.approx(usual)
    assert seeds.spread([*near, far], far) == (pytest.approx(50**0.5), 1)
    assert seeds.spread([*near, far], np.array([60.0, 60.1])) == pytest.approx(usual)  # not narrower
    assert seeds.spread([far, far + 30]) == (pytest.approx(50**0.5), 2)  # none is near their median


def test_a_setting_whose_seeds_differ_far_more_widens_its_own_interval_alone():
    steady, unsteady = [np.array([90.0, 90.5]) + i for i in range(10)], np.array([90.0, 96])
    usual = (pytest.approx(0.125**0.5), 10)
    assert seeds.spread([*steady, unsteady]) == seeds.spread([*steady, unsteady], steady[0]) == usual
    assert seeds.spread([*steady, unsteady], unsteady) == (pytest.approx(18**0.5), 1)
    assert seeds.spread([*steady, unsteady, unsteady * [1, 2]]) == usual
    assert seeds.spread(steady, np.array([90.0, 91.5])) == usual  # two seeds may well differ by that
    same = [np.array([90.0, 90])] * 3
    assert seeds.spread(same, same[0]) == (0, 3)
    assert seeds.spread([*same, unsteady], unsteady) == (pytest.approx(18**0.5), 1)


def test_the_interval_of_one_seed_is_that_of_its_tasks_and_of_seeds():
    tasks, between = np.array([[90.0, 92, 94, 96]]), seeds.Spread(0.5, 2)
    of_tasks = interval(tasks[0])
    assert seeds.half(tasks, None) == of_tasks  # nothing is known of seeds
    assert seeds.half(tasks, between) == pytest.approx(np.hypot(of_tasks, 4.3027 * 0.5), rel=1e-4)  # Student's t, 2
    both = pytest.approx(np.hypot(of_tasks, 4.3027 * 0.5 * 2**0.5), rel=1e-4)
    assert seeds.half(tasks, between, between) == seeds.half(tasks, None, between) == both
    wide = seeds.Spread(2.0, 1)  # 12.706: two seeds alone
    assert seeds.half(tasks, between, wide) == pytest.approx((of_tasks**2 + 2.1514**2 + 25.412**2) ** 0.5, rel=1e-4)
    assert seeds.half(tasks[:, :1], between) is None


def test_nineteen_of_twenty_intervals_hold_the_truth():
    """Models of which each seed is off by a draw of its own, and every task of each by another."""
    made, held = np.random.RandomState(0), []
    for _ in range(1000):
        models = made.randn(6, 2, 1) * 0.7 + made.randn(6, 2, 50) * 3  # six settings, two seeds, tasks
        between = seeds.spread(models.mean(2))
        held.append(abs(models[0].mean()) < seeds.half(models[0], between))
    assert 0.93 < np.mean(held) < 0.99  # a little wide: the spread between seeds holds some of that between tasks
