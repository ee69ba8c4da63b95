"""Steps with non-finite losses or gradients: training stops or skips them, saves them, and replays them."""

import re

import numpy as np
import pytest

from tests.helpers.runs import TASK as FIVE_WAY
from tests.helpers.runs import stop_after_one
from tf_metadrop import UsageError
from tf_metadrop.cli import compare, main
from tf_metadrop.modes import replay, train
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


def test_a_test_that_diverges_has_no_result(tmp_path, capsys):
    """argmax takes the first class where logits are NaN: an accuracy of 1/way, and no word of it."""
    run = tmp_path / "run"
    small = [*TASK, "--n_eval_batches=1", "--n_train_iters=0", f"--savedir={run}"]
    assert main.main(["main.py", *small]) == 0
    wild = ["--n_test_iters=2", "--metabatch=1", "--inner_lr=1e36", "--wandb=disabled", f"--savedir={run}"]
    attack = ["--attack_norms=linf", "--attack_radii=0.1", "--attack_steps=1"]
    for act in (
        lambda: main.main(["main.py", "--mode=meta_test", *wild]),
        lambda: main.main(["main.py", "--mode=attack", *wild, *attack]),
        lambda: compare.main(["metadrop compare", f"--tf1_savedir={run}", *wild]),
    ):
        assert act() == 2
        assert re.search(
            r"run: the adaptation to a task of the test diverged to non-finite values \(NaN or Inf\) at "
            r"--inner_lr=1e\+36: give a lower one\. No result was written\.\n",
            capsys.readouterr().err,
        )
    assert not [*run.glob("meta_test*"), *run.glob("attack*"), *run.glob("plot/*")]


def test_an_evaluation_that_diverges_is_never_the_best(tmp_path, monkeypatch):
    found = iter([(0.2, 1.6), (0.9, float("nan")), (0.4, 1.5)])  # accuracy, cross-entropy
    evaluated = lambda *_: dict(zip(("accuracy", "cent"), next(found), strict=True))
    monkeypatch.setattr(train.Training, "evaluated", evaluated)
    often = ["--eval_split=val", "--eval_freq=1", "--save_freq=1", "--n_train_iters=2"]
    assert main.main(["main.py", *TASK, *often, f"--savedir={tmp_path / 'run'}"]) == 0
    assert int(checkpoint.read(tmp_path / "run" / checkpoint.BEST).state.iteration) == 3  # done with iteration 2


def test_a_damaged_step_is_told_in_one_sentence(tmp_path):
    """Wherever a byte differs: reading it raises errors of zip, zlib, NumPy or JSON."""
    np.savez_compressed(tmp_path / "fault_1.npz", json="{}", key=np.random.RandomState(0).rand(40))
    whole = (tmp_path / "fault_1.npz").read_bytes()
    for place in range(len(whole)):
        (tmp_path / "fault_1.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 85]) + whole[place + 1 :])
        with pytest.raises(UsageError, match="fault_1.npz"):
            replay.load(tmp_path / "fault_1.npz")
