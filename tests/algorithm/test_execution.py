"""How steps run on this machine, and what is asked of TensorFlow."""

import dataclasses
import os

import pytest
import tensorflow as tf

from tf_metadrop import Config
from tf_metadrop.algorithm import execution
from tf_metadrop.errors import UsageError
from tf_metadrop.util import environment

SMALL = Config(dataset="strokes", way=3, shot=1, query=2, metabatch=2, n_steps=1, inner_lr=0.01)


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


def test_how_steps_run_on_a_gpu(monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [f"/physical_device:{kind}:0"])
    assert execution.execution(SMALL) == (True, True, 1)
    assert execution.execution(dataclasses.replace(SMALL, tasks="in_sequence", xla="off")) == (False, False, 1)
    assert execution.execution(dataclasses.replace(SMALL, mode="meta_test")) == (True, True, 1)


@pytest.mark.parametrize(
    ("by_program", "used", "gpu_id", "devices", "chosen"),
    [
        (False, False, 0, 1, None),  # TensorFlow takes the first one
        (False, True, 0, 2, None),
        (False, False, 1, 1, [1]),
        (False, False, 1, 2, [1, 2]),
        (False, False, -1, 1, []),
        (True, True, 2, 1, None),  # the program has chosen before TensorFlow's import
        (False, False, 3, 1, "gpu_id=3, but TensorFlow has 3 GPUs: give at most 2"),
        (False, True, 1, 1, "gpu_id=1 and devices=1 come too late"),
        (False, True, -1, 1, "gpu_id=-1 and devices=1 come too late"),
    ],
)  # fmt: skip
def test_gpus_are_those_of_the_config(by_program, used, gpu_id, devices, chosen, monkeypatch):
    """As in a notebook: TensorFlow is imported, and the config comes later."""
    given = []

    def choose(wanted, kind):
        if used:
            raise RuntimeError("Visible devices cannot be modified after being initialized")
        given.append(wanted)

    monkeypatch.setattr(environment, "_chosen", ["0"] if by_program else [])
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [0, 1, 2])
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: given[-1] if given else [0, 1, 2])
    monkeypatch.setattr(tf.config, "set_visible_devices", choose)
    config = dataclasses.replace(SMALL, gpu_id=gpu_id, devices=devices)
    if isinstance(chosen, str):
        with pytest.raises(UsageError, match=chosen):
            execution.choose_gpus(config)
    else:
        for _ in range(2):  # a training, and its MetaLearner
            execution.choose_gpus(config)
        assert given == ([] if chosen is None else [chosen])


@pytest.mark.parametrize(
    ("settings", "tf32", "deterministic"),
    [({}, False, False), (dict(precision="tf32"), True, False), (dict(deterministic=True), False, True)],
)
def test_what_is_asked_of_tensorflow(settings, tf32, deterministic, monkeypatch):
    execution.compile_first()  # XLA reads its flags then, and ends a process whose flags it does not know
    asked = dict(deterministic=False)
    monkeypatch.setattr(execution, "_deterministic", [])
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


def test_determinism_that_lasts_is_said(monkeypatch, capsys):
    monkeypatch.setattr(execution, "_deterministic", [True])
    execution.say_deterministic.cache_clear()
    for mode in "meta_test", "meta_train", "meta_train":
        execution.prepare(dataclasses.replace(SMALL, mode=mode))
    assert capsys.readouterr().err.count("an earlier call of this Python asked for deterministic=True") == 1
