"""However a step runs (in sequence, at once, by XLA, several samples at a time), it computes the same."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_metadrop.algorithm import execution, outer_loop
from tf_metadrop.algorithm.episodes import Images
from tf_metadrop.config.config import Config
from tf_metadrop.data import DATASETS
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import fused, philox, rng
from tf_metadrop.nn.backbones import conv4

SMALL = Config(dataset="strokes", way=3, shot=1, query=2, metabatch=2, n_steps=1, inner_lr=0.01)
PATHS = [dict(tasks=tasks, xla=xla) for tasks in ("in_sequence", "at_once") for xla in ("off", "on")]


def images(config):
    pixels = np.random.RandomState(0).randint(0, 256, [9, 9, *DATASETS[config.dataset].image_shape])
    return Images(pixels.astype(np.uint8), config)


def weights(config):
    """Larger than the initial ones, so that nothing is near zero."""
    made = np.random.RandomState(1)
    shapes = conv4.shapes(DATASETS[config.dataset], config.way)
    return {name: tf.constant(made.standard_normal(shape) * 0.1, tf.float32) for name, shape in shapes.items()}


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


@pytest.mark.parametrize("noise_type", ["metadrop", "maml"])
def test_training_step_is_the_same_on_every_path(noise_type):
    """In float64: in float32 a ReLU or pool near a tie is decided otherwise after another rounding, and all differs."""
    results, left_out = {}, PATHS[3 if noise_type == "maml" else 1]  # each by XLA one way: it takes long to compile
    for path in (path for path in PATHS if path is not left_out):
        config = dataclasses.replace(SMALL, noise_type=noise_type, **path)
        state = outer_loop.initial_state(as_float64(weights(config)), load_method(config))
        step, pictures = outer_loop.make_train_step(config, load_method(config)), images(config)
        for seed in range(3):
            episodes = pictures.episodes(np.random.RandomState(seed))
            flat, *indices = pictures.batch(*episodes)
            found = step(state, tf.cast(flat, tf.float64) / 255, *indices, rng.key(seed, rng.TRAIN))
            expected, loss, accs = results.setdefault(seed, (found[0].m, *found[1:]))
            assert float(found[1]) == pytest.approx(float(loss), rel=1e-11)
            np.testing.assert_array_equal(found[2], accs)
            total = np.linalg.norm([np.linalg.norm(m) for m in expected.values()])
            for name, m in expected.items():
                assert np.linalg.norm(found[0].m[name] - m) < 1e-9 * max(np.linalg.norm(m), 1e-3 * total), (path, name)


def as_float64(params):
    return {name: tf.cast(w, tf.float64) for name, w in params.items()}


@pytest.mark.parametrize("at_once", [64, 4, 2])
def test_test_step_is_the_same_on_every_path(at_once, monkeypatch):
    """Of 2 tasks times 2 samples as many at once as `at_once` lets; numbered from 5."""
    monkeypatch.setattr(execution, "SAMPLES_AT_ONCE", at_once)
    results = []
    for path in PATHS if at_once == 64 else [PATHS[0], PATHS[2]]:
        config = dataclasses.replace(SMALL, mode="meta_test", n_test_mc_samp=2, **path)
        step, pictures = outer_loop.make_test_step(config, load_method(config)), images(config)
        indices = pictures.episodes(np.random.RandomState(0))
        key = rng.key(0, rng.META_TEST)
        results.append(step(weights(config), *pictures.batch(*indices), key, tf.constant(5)))
    for losses, accs in results[1:]:
        np.testing.assert_allclose(losses, results[0][0], rtol=1e-5)
        np.testing.assert_array_equal(accs, results[0][1])


def test_samples_under_way_do_not_disturb_each_other():
    """In a process of its own, which sets the threads. Noise of all layers in one draw crashed here, or differed."""
    program = pathlib.Path(__file__).with_name("repeat_test_step.py")
    environment = {**os.environ, "PYTHONPATH": str(program.parent.parent)}
    run = subprocess.run([sys.executable, program, "10"], capture_output=True, text=True, env=environment, timeout=300)
    assert run.returncode == 0 and run.stdout.strip().endswith("different: 0"), (run.returncode, run.stdout)


def test_how_steps_run_here():
    """On a machine without a GPU; see execution.py."""
    cores = execution.cores()
    assert execution.execution(SMALL) == (False, False, 1)
    assert execution.execution(dataclasses.replace(SMALL, tasks="at_once", xla="on")) == (True, True, 1)
    assert execution.execution(dataclasses.replace(SMALL, mode="meta_test")).in_flight == min(cores, 4)
    assert execution.Execution(True, True, 1).samples(1, 30) == 30
    assert execution.Execution(True, True, 1).samples(16, 30) == 3
    assert (
        execution.Execution(True, True, 1).samples(100, 30) == execution.Execution(False, False, 1).samples(1, 30) == 1
    )


@pytest.mark.parametrize(
    ("settings", "tf32", "deterministic"),
    [({}, False, False), (dict(precision="tf32"), True, False), (dict(deterministic=True), False, True)],
)
def test_what_is_asked_of_tensorflow(settings, tf32, deterministic, monkeypatch):
    asked = dict(deterministic=False)
    experimental = tf.config.experimental
    monkeypatch.setattr(experimental, "enable_tensor_float_32_execution", lambda value: asked.update(tf32=value))
    monkeypatch.setattr(experimental, "enable_op_determinism", lambda: asked.update(deterministic=True))
    monkeypatch.setenv("XLA_FLAGS", "--xla_of_the_user=1")
    for _ in range(2):
        execution.prepare(dataclasses.replace(SMALL, **settings))
    assert asked == dict(tf32=tf32, deterministic=deterministic)
    flags = os.environ["XLA_FLAGS"].split()
    assert flags[-1] == "--xla_of_the_user=1" and flags.count("--xla_gpu_enable_triton_gemm=false") == 1
    assert ("--xla_gpu_deterministic_ops=true" in flags) == deterministic


def test_episodes_drawn_ahead_are_the_same_and_so_is_the_generator():
    pictures, generator = images(SMALL), np.random.RandomState(3)
    ahead = pictures.stream(np.random.RandomState(3))
    for _ in range(3):
        drawn, state = next(ahead)
        for ours, theirs in zip(drawn, pictures.episodes(generator), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(state[1], generator.get_state()[1])
        assert state[2:] == generator.get_state()[2:]
    ahead.close()


@pytest.mark.parametrize("size", [[2, 7, 7, 3], [2, 50, 51, 32]])
def test_pool_kernels_are_tensorflows(size):
    """With many ties, of odd sizes, and large enough to be compiled."""
    made = np.random.RandomState(0)
    x = tf.constant(made.randint(0, 3, size), tf.float32)
    pooled, place = fused.pool(x)
    np.testing.assert_array_equal(pooled, tf.nn.max_pool2d(x, 2, 2, "VALID"))
    d = tf.constant(made.standard_normal(pooled.shape), tf.float32)
    window = dict(ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")
    put = tf.raw_ops.MaxPoolGrad(orig_input=x, orig_output=pooled, grad=d, **window)
    zero = tf.zeros([size[-1]])
    np.testing.assert_array_equal(fused.put_back(x, zero, zero, place, d), put)
    np.testing.assert_array_equal(fused.take(x, place), pooled)
    np.testing.assert_array_equal(fused.take(put, place), d)


def test_programs_import_no_keras_and_leave_it_to_the_user():
    code = (
        "import sys; from tf_metadrop import cli\n"
        "with cli.importing_tensorflow():\n    import tensorflow as tf\n"
        "assert 'keras' not in sys.modules\n"
        "from tensorflow.keras import layers\n"
        "layers.Dense(1)(tf.ones([1, 1]))\n"
        "assert tf.keras.layers is layers"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=pathlib.Path(__file__).parent.parent)
