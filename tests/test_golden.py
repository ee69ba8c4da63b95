"""The TF 1.12 program's numbers, case by case, in float64 and float32 (tolerances: float32 ten times float64's)."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
from golden_case import CASES, GoldenCase, kept

from tf_metadrop import meta, model

LOSS, LOGITS, GRADIENT = 1e-5, 2e-5, 1e-4
ADAM = {"mimgnet_5way1shot_metadrop_2": 1e-3, "omniglot_5way5shot_metadrop_2": 5e-3}
DTYPES = {"float64": tf.float64, "float32": tf.float32}
every_case = pytest.mark.parametrize("name", CASES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


@functools.cache
def case_of(name, dtype):
    return GoldenCase(name, DTYPES[dtype])


def tolerance(dtype, value):
    return value if dtype == "float64" else 10 * value


def gradients(case, second_order, params=None, iteration=0):
    """Our meta-gradient of the case's metabatch: (gradients, mean loss, accuracies)."""
    config = dataclasses.replace(case.config, second_order=second_order)
    tasks = case.tasks(iteration)

    @tf.function
    def compiled(params):
        return meta.meta_gradient(
            params, config.metabatch, lambda index: meta.Task(*[part[index] for part in tasks]), config,
            case.noise_type, lambda index: case.noise,
        )  # fmt: skip

    return compiled(params or case.params)


@every_case
@every_dtype
def test_adaptation_and_query(name, dtype):
    case = case_of(name, dtype)
    loss, acc, logits, adapted = meta.task_loss(case.params, case.task(0), case.config, case.noise_type, case.noise)
    golden = case.golden
    assert case.relative_error(adapted.inner_losses[:, 0], "task0/train_inner_losses") < tolerance(dtype, LOSS)
    support_logits = tf.stack(adapted.support_logits)
    assert case.relative_error(support_logits, "task0/train_support_logits") < tolerance(dtype, LOGITS)
    assert case.relative_error(logits, "task0/train_query_logits") < tolerance(dtype, LOGITS)
    assert case.relative_error(loss, "task0/train_query_loss") < tolerance(dtype, LOSS)
    assert acc.numpy() == pytest.approx(golden["acc"][0])


@every_case
@every_dtype
def test_meta_test_path(name, dtype):
    case = case_of(name, dtype)
    losses, accs = [], []
    for index in range(case.config.metabatch):
        loss, acc, logits, adapted = tf.function(meta.task_loss)(
            case.params, case.task(index), case.config, case.noise_type, case.noise, case.config.n_test_mc_samp
        )
        losses.append(loss.numpy())
        accs.append(acc.numpy())
        if index == 0:
            inner = tf.reshape(adapted.inner_losses, [-1])
            assert case.relative_error(inner, "task0/test_inner_losses") < tolerance(dtype, LOSS)
            assert case.relative_error(logits, "task0/test_query_logits") < tolerance(dtype, LOGITS)
            assert case.relative_error(loss, "task0/test_query_loss") < tolerance(dtype, LOSS)
    assert case.relative_error(np.mean(losses), "test_cent") < tolerance(dtype, LOSS)
    np.testing.assert_allclose(accs, case.golden["test_acc"], atol=1e-6)


@every_case
@every_dtype
@pytest.mark.parametrize("second_order", ["tf1", "exact"])
def test_meta_gradient(name, dtype, second_order):
    case = case_of(name, dtype)
    ours, loss, accs = gradients(case, second_order)
    expected_loss = {"tf1": "cent", "exact": "cent_plain_bn"}[second_order]
    assert case.relative_error(loss, expected_loss) < tolerance(dtype, LOSS)
    np.testing.assert_allclose(accs, case.golden["acc"], atol=1e-6)
    prefix = f"grad_{second_order}/"
    assert {prefix + key for key in ours} == {key for key in case.golden if key.startswith(prefix)}
    for key, gradient in ours.items():
        golden_key = prefix + key
        if case.config.maml and key.startswith("theta/conv") and key.endswith("_b"):
            # Without noise, batch norm takes every constant away again: the true gradient is zero.
            assert np.abs(gradient).max() < {"float64": 1e-12, "float32": 1e-6}[dtype], key
            continue
        assert case.relative_error(gradient, golden_key) < tolerance(dtype, GRADIENT), key
        norm = np.linalg.norm(np.asarray(gradient, np.float64))
        assert norm == pytest.approx(case.golden[f"norm/{golden_key}"], rel=tolerance(dtype, GRADIENT)), key


@every_case
@every_dtype
def test_adam_steps(name, dtype):
    case = case_of(name, dtype)
    state = meta.initial_state(case.params, case.noise_type)
    steps = case.raw["adam_steps"] if name in ADAM else 1
    for iteration in range(steps):
        gradient, loss, _ = gradients(case, "tf1", state.params, iteration)
        expected = case.golden["adam/losses"][iteration]
        assert abs(loss - expected) / expected < tolerance(dtype, LOSS if iteration == 0 else LOGITS)
        state = meta.adam_step(state, gradient, case.config.meta_lr)
    assert state.iteration == steps
    for key, start in case.params.items() if name in ADAM else ():
        moved = kept(state.params[key]) - kept(start)
        expected = case.golden[f"adam/final/{key}"].astype(np.float64) - kept(start)
        error = np.linalg.norm(moved - expected) / np.linalg.norm(expected)
        assert error < tolerance(dtype, ADAM[name]), (key, error)


def test_shapes_cover_the_checkpoint_names():
    case = case_of(CASES[0], "float64")
    assert list(case.params) == list(model.shapes(case.spec, case.config.way))
