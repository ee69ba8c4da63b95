"""Steps with non-finite losses or gradients: training stops or skips them, saves them, and replays them."""

import re

import numpy as np
import pytest

from tests.helpers.runs import TASK as FIVE_WAY
from tests.helpers.runs import stop_after_one
from tf_metadrop.cli import main
from tf_metadrop.modes import replay
from tf_metadrop.runs import checkpoint

TASK = [*FIVE_WAY, "--second_order=first", "--blocks=2"]  # traced sooner
WILD = [*TASK, "--inner_lr=1e36", "--n_eval_batches=1", "--save_freq=1", "--log_freq=1"]


def test_it_stops_before_anything_is_overwritten(tmp_path, capsys):
    run = ["main.py", *TASK, "--n_eval_batches=1", "--save_freq=1", f"--savedir={tmp_path / 'run'}", "--meta_lr=1e38"]
    assert main.main(run) == 2
    err = capsys.readouterr().err
    assert re.fullmatch(
        r"main\.py: non-finite values \(NaN or Inf\) at iteration 1 of \S+run: the loss of inner step 1, [^\n]+ and "
        r"\d+ more\. The step changed no weights and is saved in (\S+fault_1\.npz) [^\n]+\.\n",
        err,
    ), err
    state = checkpoint.load(tmp_path / "run").state
    assert int(state.iteration) == 1 and all(np.isfinite(w).all() for w in state.params.values())
    assert main.main([*run, "--on_nan=skip", "--n_train_iters=2", "--seed=1"]) == 2  # no other run
    assert "run with --seed=0, not --seed=1" in capsys.readouterr().err
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", stop_after_one(checkpoint.save))
        assert main.main([*run, "--on_nan=skip"]) == 130
    assert int(checkpoint.load(tmp_path / "run").state.iteration) == 2
    assert re.search(r"non-finite values \(NaN or Inf\) at iteration 1 of \S+: [^\n]+skipped", capsys.readouterr().out)


def test_skipped_steps_are_kept_and_replayed(tmp_path, capsys):
    savedir = tmp_path / "run"
    assert main.main(["main.py", *WILD, "--n_train_iters=1", f"--savedir={savedir}"]) == 2  # at iteration 0
    assert "fault_0.npz" in capsys.readouterr().err
    assert main.main(["main.py", *WILD, "--on_nan=skip", "--n_train_iters=1", f"--savedir={savedir}"]) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"non-finite values \(NaN or Inf\) at iteration \d of \S+: the [^\n]+skipped", out)) == 2
    saved = checkpoint.load(savedir).state
    assert int(saved.iteration) == 2 and not any(np.any(m) for m in saved.slots["m"].values())  # nothing was learned
    assert "meta_train:" not in (savedir / "meta_train.log").read_text()
    assert main.main(["main.py", f"--replay={savedir / 'fault_1.npz'}"]) == 0
    out = capsys.readouterr().out
    assert "iteration 1, metadrop_blocks2, second_order first" in out and " after it" in out
    rows = replay.replay(savedir / "fault_1.npz")
    assert [(row["precision"], row["task"]) for row in rows] == [
        ("float32", 0), ("float32", 1), ("float64", 0), ("float64", 1),
    ]  # fmt: skip
    assert np.isfinite(float(rows[2]["inner losses"])) and np.isfinite(rows[2]["query loss"])  # fits float64


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY", None])
def test_replay_of_something_else(tmp_path, capsys, content):
    path = tmp_path / "fault_1.npz"
    if content is not None:
        path.write_bytes(content)
    assert main.main(["main.py", f"--replay={path}"]) == 2
    assert re.fullmatch(r"main\.py: --replay=\S+ (is not|does not) [^\n]+\.\n", capsys.readouterr().err)
