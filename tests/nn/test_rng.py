"""The random numbers: Philox, the keys of tasks and samples, and the normal distribution."""

import numpy as np
import pytest
import tensorflow as tf

from tf_metadrop.nn import philox, rng
from tf_metadrop.nn.rng import box_muller, normal


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0), 0, (0xFF1DAE59, 0x6CD10DF2)),
        ((0xFFFFFFFF, 0xFFFFFFFF), 0xFFFFFFFF, (0x2C3F628B, 0xAB4FD7AD)),
        ((0x243F6A88, 0x85A308D3), 0x13198A2E, (0xDD7CE038, 0xF62A4C12)),
    ],
)
def test_philox_gives_its_authors_known_answers(counter, key, expected):
    words = philox.philox(*[tf.constant([word], tf.uint64) for word in (*counter, key)])
    assert tuple(int(word[0]) for word in words) == expected


@pytest.mark.parametrize("xla", [False, True])
def test_noise_of_several_tasks_and_samples_is_that_of_each(xla):
    key, shape = rng.key(7, rng.TRAIN), [5, 3, 3, 7]
    draw = lambda key: rng.StandardNormal(rng.fold(key, tf.range(3)))(4, tf.range(2), 1, [3, 2, *shape])
    every = tf.function(draw, autograph=False, jit_compile=xla)(key)
    for task in range(3):
        for sample in range(2):
            one = rng.StandardNormal(rng.fold(key, task))(4, sample, 1, shape)
            np.testing.assert_allclose(every[task, sample], one, rtol=0, atol=2e-6)
    assert len(np.unique(every)) > 0.999 * np.size(every)  # every number of every task and sample is its own


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_noise_is_finite_for_every_bit_pattern_and_normal(dtype):
    most = 2**32 - 1
    words = [(radius, angle) for radius in (0, 1, 2, 2**31, most - 1, most) for angle in (0, 1, 2**30, 2**31, most)]
    first, second = np.array(words, np.uint64).T
    ours = tf.function(box_muller, jit_compile=True)(tf.constant(first), tf.constant(second), dtype)
    radius, turns = np.sqrt(-2 * np.log((first >> 1) * 2.0**-31 + 2.0**-32)), second * 2.0**-32
    for found, expected in zip(
        ours, (radius * np.cos(2 * np.pi * turns), radius * np.sin(2 * np.pi * turns)), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=2e-8 if dtype == "float64" else 3e-4)
    assert np.isfinite(ours).all() and 6.6 < np.abs(ours).max() < 6.7
    draws = normal(tf.constant([1, 2]), [1000, 1001], dtype).numpy().astype(np.float64)
    moments = [np.mean(draws**power) for power in (1, 2, 3, 4)]
    for moment, expected, deviation in zip(moments, (0, 1, 0, 3), (1, 2**0.5, 15**0.5, 96**0.5), strict=True):
        assert moment == pytest.approx(expected, abs=5 * deviation / 1e3)  # of 1e6 draws
    for distance, share in ((1, 0.158655), (2, 0.022750), (3, 0.00134990)):
        assert np.mean(draws > distance) == pytest.approx(share, abs=5 * (share / 1e6) ** 0.5)
