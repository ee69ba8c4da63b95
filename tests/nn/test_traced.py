"""Compiled functions cause no warning of retracing, which TensorFlow gives of several runs or shapes in one process."""

import logging

import pytest
import tensorflow as tf

from tests.helpers.runs import ROOT
from tf_metadrop.nn.traced import CompiledStep, traced

PACKAGE = ROOT / "tf_metadrop"
OTHERS = {  # traced within another graph, saved, or traced once in a process or in a run on several machines
    "algorithm/execution.py", "algorithm/parallel.py", "algorithm/workers.py", "modes/formats.py", "nn/fused.py",
    "nn/low_products.py", "nn/rng.py", "nn/traced.py",
}  # fmt: skip


@pytest.mark.parametrize(
    ("make", "warns"), [(tf.function, True), (lambda f: CompiledStep(f, xla=False), False), (traced, False)]
)
def test_a_function_made_again_and_again_causes_no_warning(make, warns, caplog):
    with caplog.at_level(logging.WARNING, logger="tensorflow"):
        for shape in range(1, 7):
            assert make(lambda x: x + 1)(tf.zeros([shape])).shape == [shape]
    assert bool([record for record in caplog.records if "retracing" in record.getMessage()]) == warns


def test_a_step_is_traced_once_however_it_is_asked_for():
    traced_for = []
    step = CompiledStep(lambda x: traced_for.append(x.shape) or x + 1, xla=False)
    for _ in range(3):
        assert step(tf.constant(1)) == 2
        assert step.get_concrete_function(tf.constant(5))(tf.constant(2)) == 3
    assert len(traced_for) == 1
    assert step(tf.constant([1, 2])).shape == [2]  # other shapes are no error
    assert len(traced_for) == 2


def test_what_runs_make_is_compiled_so():
    used = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if "tf.function" in path.read_text()}
    assert used == OTHERS
