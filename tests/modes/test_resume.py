"""A finished run that goes on, its last words, and tests that differ from the training."""

import io
import json
import re

import numpy as np
import pytest

from tests.helpers.runs import arrays, assert_equal_arrays, call
from tf_metadrop import Config, UsageError, attack_model, export_features, meta_test, meta_train
from tf_metadrop.analysis import paired, tables
from tf_metadrop.cli import compare, main
from tf_metadrop.figures import curves
from tf_metadrop.modes.train import Training
from tf_metadrop.runs import finished, record, tf1_checkpoint, train_log

RUN = dict(
    dataset="strokes", way=3, shot=1, query=2, metabatch=1, n_steps=1, maml=True, wandb="disabled", n_eval_batches=1,
    blocks=2, n_train_iters=4, eval_freq=3, log_freq=3, save_freq=100,
)  # fmt: skip
TEST = dict(n_test_iters=4, metabatch=2, wandb="disabled")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 8 iterations in one go."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    meta_train(Config(savedir=str(folder), **RUN | dict(n_train_iters=8)))
    return folder


def lines(savedir):
    return [json.loads(line) for line in (savedir / "metrics.jsonl").read_text().splitlines()]


def test_a_finished_run_goes_on_to_the_bits_of_one_in_one_go(whole, tmp_path, capsys):
    savedir = tmp_path / "run"
    meta_train(Config(savedir=str(savedir), **RUN))
    out = capsys.readouterr().out
    assert [line["iter"] for line in lines(savedir) if "test_acc" in line] == [0, 3, 4]  # the last at its end
    assert [line["iter"] for line in lines(savedir) if "cent" in line] == [0, 3, 4]
    assert f"{savedir}: done." in out and f"Next: metadrop test --savedir={savedir}" in out
    meta_train(Config(savedir=str(savedir), **RUN | dict(n_train_iters=8, log_freq=2, eval_freq=4, n_eval_batches=2)))
    ours, theirs = arrays(savedir), arrays(whole)
    assert_equal_arrays(ours, theirs)
    assert [line["iter"] for line in lines(savedir) if "test_acc" in line] == [0, 3, 4, 8]
    log = (savedir / "meta_train.log").read_text()
    said = "n_train_iters 4 -> 8, log_freq 3 -> 2, eval_freq 3 -> 4, n_eval_batches 1 -> 2"
    assert f"\n{train_log.RESUMES} 5: {said}\n" in log
    assert tf1_checkpoint.settings(savedir)["n_train_iters"] == 8  # of the log alone, as beside published weights
    assert curves.load(savedir)  # the line is no hindrance
    assert record.read(savedir)["iterations"] == 9
    meta_train(Config(savedir=str(savedir), **RUN | dict(n_train_iters=8, log_freq=2, eval_freq=4, n_eval_batches=2)))
    assert "which is finished: nothing to train. Weights and state are saved there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            dict(n_train_iters=3),
            "is at iteration 8, beyond --n_train_iters=3: give at least that number, or another --savedir",
        ),
        (dict(meta_lr=0.1), "holds a run with --meta_lr=0.001, not --meta_lr=0.1"),
        (dict(seed=1, n_train_iters=20), "holds a run with --seed=0, not --seed=1: give the same"),
        (dict(eval_split="val", n_train_iters=20), "holds a run with --eval_split=test"),
        (dict(query=3), "holds a run with --query=2"),
    ],
)
def test_what_changes_the_steps_taken_is_refused(whole, changed, words):
    before = (whole / "state.npz").read_bytes()
    with pytest.raises(UsageError, match=words):
        meta_train(Config(savedir=str(whole), **RUN | dict(n_train_iters=8) | changed))
    assert (whole / "state.npz").read_bytes() == before


def test_fewer_classes_and_another_shot_are_tested_and_marked(whole, capsys):
    result = meta_test(Config(savedir=str(whole), way=2, shot=2, **TEST), {"way", "shot", *TEST})
    assert result["config"]["way"] == 2 and result["trained_with"]["way"] == 3
    assert "tested with --way=2, trained with 3; tested with --shot=2, trained with 1" in capsys.readouterr().out
    found = finished.find([whole])
    assert found[0].task == ("strokes", 2, 2)
    marked = tables.settings_apart(found)[whole]
    assert "trained with way 3" in marked and "trained with shot 1" in marked
    rows = attack_model(
        Config(savedir=str(whole), way=2, attack_norms="l2", attack_radii="1", attack_steps=1, **TEST), {"way", *TEST}
    )
    assert rows[0]["tasks"] == 4
    export_features(Config(savedir=str(whole), way=2, **TEST), {"way", *TEST})
    with pytest.raises(UsageError, match="was trained with --way=3: give the same here"):
        meta_test(Config(savedir=str(whole), way=4, **TEST), {"way", *TEST})


def test_one_task_has_no_interval(whole, capsys):
    result = meta_test(Config(savedir=str(whole), **TEST | dict(n_test_iters=1, metabatch=1)))
    assert result["interval"] is None
    assert re.search(r"accuracy : [\d.]+ \(one task: no interval\)", capsys.readouterr().out)
    one = dict(n_test_iters=1, metabatch=1, attack_norms="l2", attack_radii="1", attack_steps=1, wandb="disabled")
    rows = attack_model(Config(savedir=str(whole), **one))
    assert rows[0]["ci95"] is None and "(one task: no interval)" in capsys.readouterr().out
    page = tables.accuracy_rows(finished.find([whole]), lambda method: True)
    assert any("(one task: no interval)" in row["ours"] for row in page)
    assert paired.shown(np.ones([2, 1]), None) == "no"  # nothing is shown by one task
    two = [f"--tf1_savedir={whole}", f"--savedir={whole}", "--n_test_iters=1", "--metabatch=1", "--way=2"]
    assert compare.main(["compare", *two]) == 0
    assert "accuracy in per cent" in (out := capsys.readouterr().out) and "(one task: no interval)" in out


def test_the_time_left_leaves_out_what_the_first_iteration_compiles(tmp_path, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(train_log.time, "monotonic", lambda: now[0])
    config = Config(wandb="disabled", savedir=str(tmp_path), n_train_iters=99, log_freq=1)
    with train_log.TrainLog(tmp_path, config) as log:
        now[0] = 60.0  # to compile the step
        log.trained(0, (1.0, 0.5))
        now[0] = 90.0  # to compile the evaluation
        log.evaluated(0, "test", {"cent": 1.0, "accuracy": 0.5})
        assert "left]" not in capsys.readouterr().out  # nothing is known yet
        now[0] = 91.0
        log.trained(1, (1.0, 0.5))
        assert "[01:38 left]" in capsys.readouterr().out
        now[0] = 92.0
        log.trained(2, (1.0, 0.5))
        assert "[01:37 left]" in capsys.readouterr().out


def test_a_bar_on_a_terminal_starts_after_the_first_iteration(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(train_log, "has_terminal", lambda: True)
    monkeypatch.setattr("sys.stderr", Terminal())
    config = Config(wandb="disabled", savedir=str(tmp_path), n_train_iters=9, log_freq=100)
    with train_log.TrainLog(tmp_path, config) as log:
        for iteration in range(4):
            log.trained(iteration, (1.0, 0.5))
        assert (log._bar.n, log._bar.initial, log._bar.total) == (4, 1, 10)


def test_a_short_run_ends_with_words(tmp_path, capsys):
    flags = [f"--{name}={value}" for name, value in RUN.items() if name not in ("wandb", "maml")]
    call(*flags, "--maml", f"--savedir={tmp_path / 'run'}")
    out = capsys.readouterr().out.splitlines()
    assert out[-1].endswith(f"Next: metadrop test --savedir={tmp_path / 'run'}")
    assert "meta_test : episode 4" in out[-2]
    test = ["main.py", "--mode=meta_test", *out[-1].split("metadrop test ")[1].split()]
    assert main.main([*test, "--n_test_iters=2", "--metabatch=1"]) == 0


def test_on_a_cpu_every_step_is_logged_before_the_next(tmp_path, monkeypatch):
    """Lines of several steps at once would all have the time of the last."""
    behind, account = [], Training.account

    def seen(self, done):
        behind.append(int(self.state.iteration) - 1 - done.iteration)
        account(self, done)

    monkeypatch.setattr(Training, "account", seen)
    meta_train(Config(savedir=str(tmp_path), **RUN | dict(log_freq=100, eval_freq=100)))
    assert behind == [0] * 5


def test_weights_that_were_evaluated_are_not_taken_for_a_run_that_never_began(tmp_path):
    """Their state may be lost in a copy, and no line of the training be written yet."""
    run = dict(savedir=str(tmp_path / "run"), **RUN | dict(log_freq=1000, n_train_iters=3))
    meta_train(Config(**run))
    for path in (tmp_path / "run").glob("*.npz"):
        path.unlink()
    log = tmp_path / "run" / "meta_train.log"
    log.write_text("".join(line for line in log.open() if "Iter 3" not in line and "meta_train" not in line))
    weights = (tmp_path / "run" / "model.data-00000-of-00001").read_bytes()
    for without in ("run.json", "meta_train.log"):
        kept = (tmp_path / "run" / without).read_bytes()
        changed = kept.replace(b"episode 3", b"episode 0") if without == "meta_train.log" else None
        (tmp_path / "run" / without).write_bytes(changed) if changed else (tmp_path / "run" / without).unlink()
        with pytest.raises(UsageError, match="which training would overwrite: give another --savedir"):
            meta_train(Config(**run))
        (tmp_path / "run" / without).write_bytes(kept)
    assert (tmp_path / "run" / "model.data-00000-of-00001").read_bytes() == weights
