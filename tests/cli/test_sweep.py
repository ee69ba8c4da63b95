"""metadrop sweep: a sweep that is interrupted, resumed and pruned, and its results."""

import csv
import json
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

from tests.helpers.pictures import assert_shows
from tests.helpers.sweeps import QUICK, definition
from tf_metadrop import UsageError
from tf_metadrop.cli import sweep as sweep_program
from tf_metadrop.experiments import sweep, sweep_definition
from tf_metadrop.figures import style
from tf_metadrop.util import lock


@pytest.mark.slow
def test_a_sweep_goes_on_where_it_was_and_reports_test_for_what_val_chose(tmp_path, capsys):
    path, out = tmp_path / "two.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(definition()))
    assert (
        sweep_program.main(["metadrop sweep", str(path), f"--out={out}", "--n_trials=1", "--", "--n_test_iters=3"]) == 0
    )
    assert "(1 complete trials)" in capsys.readouterr().out
    assert sweep_program.main(["metadrop sweep", f"--out={out}", str(path), "--", "--n_test_iters=3"]) == 0
    said = capsys.readouterr().out
    with open(out / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["inner_lr"] for row in rows] == ["0.05", "0.4"]
    assert_shows(out / "sweep.png", [style.BLUE])
    best = max(rows, key=lambda row: float(row["val_accuracy"]))
    assert f"chosen on val: inner_lr={best['inner_lr']}" in said
    assert f"test {float(best['test_accuracy']):.2f} +- " in said.splitlines()[-1]
    for row in rows:
        assert json.loads((pathlib.Path(row["savedir"]) / "meta_test.json").read_text())["config"]["shot"] == 2
    made = {path: path.stat().st_mtime_ns for path in out.glob("*/meta_*.json")}
    assert (
        sweep_program.main(["metadrop sweep", f"--out={out}", str(path), "--", "--n_test_iters=3"]) == 0
    )  # nothing is left to do
    assert made == {path: path.stat().st_mtime_ns for path in out.glob("*/meta_*.json")}
    path.write_text(yaml.safe_dump(definition(method="random")))
    assert sweep_program.main(["metadrop sweep", str(path), f"--out={out}"]) == 2
    assert "holds another sweep" in capsys.readouterr().err


def test_a_hopeless_trial_is_stopped(tmp_path, monkeypatch):
    class Trial:
        reports = {}

        def report(self, accuracy, iteration):
            self.reports[iteration] = accuracy

        def should_prune(self):
            return bool(self.reports)

    monkeypatch.setattr(sweep, "POLL", 0.05)
    flags = [f"--{flag}" for flag in QUICK.split()] + [
        f"--savedir={tmp_path}",
        "--eval_split=val",
        "--n_train_iters=9999",
    ]
    assert sweep.train(Trial(), flags, tmp_path) is False
    last = max(Trial.reports)
    assert 0 <= last < 9999 and not (tmp_path / "meta_val.json").exists()


def test_a_trial_that_fails_is_told_with_its_reason(tmp_path, capsys):
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(definition(parameters=dict(inner_lr=dict(values=[-1.0, -2.0])))))
    assert sweep_program.main(["metadrop sweep", str(path), f"--out={tmp_path / 'out'}"]) == 2
    assert re.search(r"ended with code 2, see .*output.log: metadrop: --inner_lr=-[12].0 is", capsys.readouterr().err)


@pytest.fixture
def swept(tmp_path, monkeypatch, capsys):
    """A function that starts a sweep whose trials call `act` with their parameters, in the place of training."""

    def start(act, method="grid", *options):
        values = dict(values=[0.05, 0.1, 0.2, 0.4]) if method == "grid" else dict(min=0.0, max=1.0)
        path, tried = tmp_path / "sweep.yaml", []
        path.write_text(yaml.safe_dump(definition(method=method, parameters=dict(inner_lr=values))))

        def train_and_test(trial, found, out):
            tried.append(sweep_definition.suggest(trial, found.parameters)["inner_lr"])
            act(tried[-1])
            for name in ("val_accuracy", "val_interval", "test_accuracy", "test_interval"):
                trial.set_user_attr(name, tried[-1])
            trial.set_user_attr("savedir", "S")
            return tried[-1]

        monkeypatch.setattr(sweep, "train_and_test", train_and_test)
        code = sweep_program.main(["metadrop sweep", str(path), f"--out={tmp_path / 'out'}", *options])
        return code, tried, capsys.readouterr()

    return start


def raising(error, *values):
    def act(value):
        if not values or value in values:
            raise error

    return act


def nothing(value):
    pass


def test_an_interrupted_trial_of_a_grid_is_taken_up_again(swept):
    code, first, _ = swept(raising(KeyboardInterrupt, 0.2))
    assert code == 130 and first[-1] == 0.2
    code, second, said = swept(nothing)
    assert code == 0 and sorted(first + second) == [0.05, 0.1, 0.2, 0.2, 0.4] and "(4 complete trials)" in said.out
    assert swept(raising(AssertionError))[:2] == (0, [])


def test_a_trial_that_fails_ends_no_sweep_and_is_tried_again_at_the_next_start(swept):
    for _ in range(2):
        code, tried, said = swept(raising(UsageError("no number."), 0.1, 0.4))
        assert code == 2 and "Traceback" not in said.err + said.out
        assert "2 trial(s) in" in said.err and "failed, the last: no number; the same command tries again." in said.err
        if "(2 complete trials)" not in said.out:  # where the first of all failed, that ends the sweep
            assert len(tried) == 1
            code, tried, said = swept(raising(UsageError("no number."), 0.1, 0.4))
        assert "inner_lr=0.4: failed: no number" in said.out and "(2 complete trials)" in said.out
    assert sorted(tried) == [0.1, 0.4]
    code, tried, said = swept(nothing)
    assert code == 0 and sorted(tried) == [0.1, 0.4] and "(4 complete trials)" in said.out


@pytest.mark.parametrize("method", ["grid", "random"])
def test_the_trial_of_a_process_that_was_killed_is_taken_up(method, swept, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "STALE", 2)
    _, first, _ = swept(nothing, method, "--n_trials=3")
    found = sweep_definition.load(tmp_path / "sweep.yaml")
    study = sweep.open_study(found, tmp_path / "out", None, True, 0)
    study.sampler = sweep.sampler(found, 0, len(study.trials))
    trial = study.ask()  # as a process that ended before it could tell
    killed = sweep_definition.suggest(trial, found.parameters)["inner_lr"]
    study._storage.record_heartbeat(trial._trial_id)
    code, second, _ = swept(nothing, method, *(["--n_trials=1"] if method == "random" else []))
    assert code == 0 and killed in second and len(set(first + second)) == len(first + second)


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_sweep_that_goes_on_draws_no_trial_twice(method, swept):
    _, first, _ = swept(nothing, method, "--n_trials=3")
    _, second, _ = swept(raising(KeyboardInterrupt), method, "--n_trials=3")
    code, third, _ = swept(nothing, method, "--n_trials=2")
    assert len(set(first + second + third)) == 6 and third[-1] == second[0] and code == 0
    _, rest, said = swept(nothing, method)
    assert len(rest) == 14 and "(20 complete trials)" in said.out


@pytest.mark.parametrize("wrong", ["--seed=-1", "--seed=4294967296", "--n_trials=0", "--n_trials=-3"])
def test_impossible_numbers(wrong, tmp_path, capsys):
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(definition()))
    assert sweep_program.main(["metadrop sweep", str(tmp_path / "sweep.yaml"), f"--out={tmp_path / 'out'}", wrong]) == 2
    assert f"{wrong} is impossible" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_help():
    run = subprocess.run([sys.executable, "-m", "tf_metadrop", "sweep", "--help"], capture_output=True, text=True)
    assert run.returncode == 0 and "chosen by the accuracy on validation classes" in run.stdout


def test_a_broken_study_is_named_and_kept(swept, tmp_path):
    """No flag was given for it, so no flag is named."""
    study = tmp_path / "out" / "study.db"
    study.parent.mkdir()
    study.write_bytes(b"not a database at all")
    code, tried, said = swept(nothing)
    assert code == 2 and not tried
    assert re.search(r"study\.db cannot be used \(.+\): move it away, or give another --out\.\n$", said.err), said.err
    assert "--storage" not in said.err and study.read_bytes() == b"not a database at all"


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_processes_that_share_a_sweep_draw_other_trials(method, swept, tmp_path, monkeypatch):
    """A trial is drawn by its own number, also where another process has just begun one."""
    monkeypatch.setattr(sweep, "STALE", 2)
    _, first, _ = swept(nothing, method, "--n_trials=1")
    found = sweep_definition.load(tmp_path / "sweep.yaml")
    study = sweep.open_study(found, tmp_path / "out", None, False, 0)
    other = []

    def meanwhile(value):
        if not other:
            study.sampler = sweep.sampler(found, 0, 1)  # both processes saw one trial before they began
            trial = study.ask()
            study.sampler = sweep.sampler(found, 0, trial.number)
            other.append(sweep_definition.suggest(trial, found.parameters)["inner_lr"])

    _, second, _ = swept(meanwhile, method, "--n_trials=1")
    assert len({*first, *second, *other}) == 3


def test_a_test_that_was_not_written_to_its_end_is_none(tmp_path):
    for content, known in (("", None), ('{"accuracy": 9', None), ('{"accuracy": 9.5}', {"accuracy": 9.5})):
        (tmp_path / "meta_val.json").write_text(content)
        assert sweep.tested(tmp_path / "meta_val.json") == known
    assert sweep.tested(tmp_path / "none.json") is None


def test_a_study_is_opened_by_one_process_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE", 0.2)
    with lock.waited_for(tmp_path, "study"):
        waited = subprocess.run(
            [sys.executable, "-c", "import pathlib, filelock, sys\n"
             f"filelock.FileLock(pathlib.Path({str(tmp_path)!r}) / '.study.lock', timeout=0).acquire()"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert waited.returncode and "Timeout" in waited.stderr
