"""docs/guides/noise_type.md: its example works as it is written there, and is random by its seed alone."""

import importlib
import json
import re
import sys

import numpy as np
import pytest

import tf_metadrop
from tests.helpers.runs import ROOT
from tf_metadrop import Config, meta_test, meta_train

TEXT = (ROOT / "docs" / "guides" / "noise_type.md").read_text()
SMALL = dict(
    noise_type="laplace", dataset="strokes", way=2, metabatch=1, n_steps=1, blocks=2, query=2, n_eval_batches=1,
    second_order="first", wandb="disabled",
)  # fmt: skip


@pytest.fixture
def laplace(tmp_path, monkeypatch):
    """The module of the first block, saved beside a notebook that has the second one as a cell."""
    example, cell = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    (tmp_path / "laplace.py").write_text(example)
    monkeypatch.syspath_prepend(tmp_path)
    exec(compile(cell, "cell", "exec"), {})
    yield importlib.import_module("laplace")
    tf_metadrop.noise.unregister("laplace")
    sys.modules.pop("laplace")


@pytest.mark.slow
def test_example_of_a_noise_type(laplace, tmp_path):
    drawn = laplace.laplace(np.random.RandomState(0).standard_normal(100_000)).numpy()
    moments = [drawn.mean(), np.abs(drawn).mean(), drawn.var()]
    np.testing.assert_allclose(moments, [0, 0.5**0.5, 1], atol=0.03)  # Laplace's; 0.03 is 4 standard errors of the last
    metrics = []
    for name in ("one", "other"):
        meta_train(Config(**SMALL, n_train_iters=2, log_freq=1, savedir=str(tmp_path / name)))
        metrics.append((tmp_path / name / "metrics.jsonl").read_bytes())
    numbers = [value for line in metrics[0].splitlines() for value in json.loads(line).values()]
    assert metrics[0] == metrics[1] and metrics[0].count(b'"cent"') == 3 and np.isfinite(numbers).all()
    result = meta_test(Config(**SMALL, mode="meta_test", n_test_iters=2, savedir=str(tmp_path / "one")))
    assert np.isfinite([result["accuracy"], result["interval"], result["cent"]]).all() and result["episodes"] == 2
