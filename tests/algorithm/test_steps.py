"""However a step runs (in sequence, at once, by XLA, several samples at a time), it computes the same."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.runs import ROOT
from tf_metadrop import Config
from tf_metadrop.algorithm import execution, outer_loop, steps
from tf_metadrop.algorithm.episodes import Images
from tf_metadrop.data import DATASETS
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import rng

SMALL = Config(dataset="strokes", way=3, shot=1, query=2, metabatch=2, n_steps=1, inner_lr=0.01)
PATHS = [dict(tasks=tasks, xla=xla) for tasks in ("in_sequence", "at_once") for xla in ("off", "on")]


def images(config):
    pixels = np.random.RandomState(0).randint(0, 256, [9, 9, *DATASETS[config.dataset].image_shape])
    return Images(pixels.astype(np.uint8), config)


def weights(config):
    """Larger than the initial ones, so that nothing is near zero."""
    made = np.random.RandomState(1)
    shapes = network.shapes(load_method(config), config.way)
    return {name: tf.constant(made.standard_normal(shape) * 0.1, tf.float32) for name, shape in shapes.items()}


@pytest.mark.slow
@pytest.mark.parametrize("noise_type", ["metadrop", pytest.param("maml", marks=pytest.mark.nightly)])
def test_training_step_is_the_same_on_every_path(noise_type):
    """In float64: in float32 a ReLU or pool near a tie is decided otherwise after another rounding, and all differs."""
    results, left_out = {}, PATHS[3 if noise_type == "maml" else 1]  # each by XLA one way: it takes long to compile
    for path in (path for path in PATHS if path is not left_out):
        config = dataclasses.replace(SMALL, noise_type=noise_type, **path)
        state = outer_loop.initial_state(as_float64(weights(config)), load_method(config))
        step, pictures = steps.make_train_step(config, load_method(config)), images(config)
        for seed in range(3):
            episodes = pictures.episodes(np.random.RandomState(seed))
            flat, *indices = pictures.batch(*episodes)
            found = step(state, tf.cast(flat, tf.float64) / 255, *indices, rng.key(seed, rng.TRAIN))
            expected, loss, accs = results.setdefault(seed, (found[0].slots["m"], *found[1:]))
            assert float(found[1]) == pytest.approx(float(loss), rel=1e-11)
            np.testing.assert_array_equal(found[2], accs)
            total = np.linalg.norm([np.linalg.norm(m) for m in expected.values()])
            assert set(found[0].slots["m"]) == set(expected)
            for name, m in expected.items():
                assert np.linalg.norm(found[0].slots["m"][name] - m) < 1e-9 * max(np.linalg.norm(m), 1e-3 * total), (
                    path,
                    name,
                )


def as_float64(params):
    return {name: tf.cast(w, tf.float64) for name, w in params.items()}


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [pytest.param(64, marks=pytest.mark.nightly), 4, 2])
def test_test_step_is_the_same_on_every_path(at_once, monkeypatch):
    """Of 2 tasks times 2 samples as many at once as `at_once` lets; numbered from 5."""
    monkeypatch.setattr(execution, "SAMPLES_AT_ONCE", at_once)
    results = []
    for path in PATHS if at_once == 64 else [PATHS[0], PATHS[2]]:
        config = dataclasses.replace(SMALL, mode="meta_test", n_test_mc_samp=2, **path)
        step, pictures = steps.make_test_step(config, load_method(config)), images(config)
        indices = pictures.episodes(np.random.RandomState(0))
        key = rng.key(0, rng.META_TEST)
        results.append(step(weights(config), *pictures.batch(*indices), key, tf.constant(5)))
    for metrics in results[1:]:
        np.testing.assert_allclose(metrics["cent"], results[0]["cent"], rtol=1e-5)
        np.testing.assert_array_equal(metrics["accuracy"], results[0]["accuracy"])


@pytest.mark.nightly
@pytest.mark.slow
def test_samples_under_way_do_not_disturb_each_other():
    """In a process of its own, which sets the threads. Noise of all layers in one draw crashed here, or differed."""
    command = [sys.executable, "-m", "tests.helpers.repeat_test_step", "10"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0 and run.stdout.strip().endswith("different: 0"), (run.returncode, run.stdout)
