"""How steps run on this machine, and what is asked of TensorFlow."""

import dataclasses
import os

import pytest
import tensorflow as tf

from tf_metadrop import Config
from tf_metadrop.algorithm import execution

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
    ("settings", "tf32", "deterministic"),
    [({}, False, False), (dict(precision="tf32"), True, False), (dict(deterministic=True), False, True)],
)
def test_what_is_asked_of_tensorflow(settings, tf32, deterministic, monkeypatch):
    execution.compile_first()  # XLA reads its flags then, and ends a process whose flags it does not know
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
