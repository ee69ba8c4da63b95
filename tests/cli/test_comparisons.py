"""metadrop quickstart and short_runs: several methods trained and tested one after the other."""

import json

import pytest

from tf_metadrop.cli import main, quickstart, short_runs
from tf_metadrop.util import signals

TINY = (
    "--n_train_iters=1 --way=3 --query=2 --metabatch=1 --n_steps=1 --blocks=2 --n_eval_batches=1 --n_test_iters=2 "
    "--n_test_mc_samp=1 --second_order=first --wandb=disabled"
).split()


@pytest.fixture
def started(monkeypatch):
    """Modes of the calls of the command line, which are made in this process."""
    modes = []

    def run(arguments):
        modes.append(next((a.split("=")[1] for a in reversed(arguments) if a.startswith("--mode")), "meta_train"))
        assert main.main(["main.py", *arguments]) == 0

    for program in (quickstart, short_runs):
        monkeypatch.setattr(program, "run", run)
    return modes


@pytest.mark.slow
def test_quickstart_compares_on_the_split_that_was_asked_for(started, tmp_path, capsys):
    assert quickstart.main(["metadrop quickstart", f"--out={tmp_path}", *TINY, "--eval_split=val"]) == 0
    table = capsys.readouterr().out.split("\nstrokes 3-way 1-shot, 2 tasks: accuracy in per cent, 95 % interval\n")[1]
    for line, name in zip(table.splitlines(), ("maml", "meta-dropout"), strict=False):
        result = json.loads((tmp_path / name / "meta_val.json").read_text())
        assert line.lower().split() == [name, f"{result['accuracy']:.2f}", "+-", f"{result['interval']:.2f}"]
    assert "difference" in table
    assert started == 2 * ["meta_train", "meta_test"]
    more = ["--eval_normalization=support", "--n_test_iters=3"]
    assert quickstart.main(["metadrop quickstart", f"--out={tmp_path}", *TINY, "--eval_split=val", *more]) == 0
    assert "strokes 3-way 1-shot, 3 tasks" in (out := capsys.readouterr().out)
    result = json.loads((tmp_path / "maml" / "meta_val_support.json").read_text())
    assert f"MAML           {result['accuracy']:.2f}" in out


@pytest.mark.parametrize(
    ("stop", "expected"),
    [(signals.Terminated(), ["wait", "terminate", "wait"]), (KeyboardInterrupt(), ["wait", "wait"])],
)
def test_a_training_that_is_interrupted_is_waited_for(stop, expected, monkeypatch):
    """It saves what it has reached; SIGTERM, unlike Ctrl-C, it hears of from us alone."""
    did = []

    class Process:
        def __init__(self, args, env):
            self.asked = iter([stop, None])

        def wait(self):
            did.append("wait")
            if (error := next(self.asked)) is not None:
                raise error

        def terminate(self):
            did.append("terminate")

    monkeypatch.setattr(quickstart.subprocess, "Popen", Process)
    with pytest.raises(KeyboardInterrupt):
        quickstart.run([])
    assert did == expected


@pytest.mark.slow
def test_short_runs_go_on_and_test_what_was_changed(started, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(short_runs, "TEST", ["--n_test_iters=2"])
    monkeypatch.setattr(short_runs, "ATTACK", ["--n_test_iters=1", "--attack_steps=1", "--attack_norms=l2"])
    command = ["metadrop short_runs", f"--out={tmp_path}", "--methods", "maml", "--", *TINY]
    assert short_runs.main(command) == 0 and started == ["meta_train", "meta_test", "attack"]
    assert short_runs.main(command) == 0 and started[3:] == ["meta_train"]  # which finds that it is done
    assert short_runs.main([*command, "--query=2", "--n_steps=1", "--seed=0"]) == 0 and started[4:] == ["meta_train"]
    monkeypatch.setattr(short_runs, "TEST", ["--n_test_iters=3"])
    assert short_runs.main(command) == 0 and started[5:] == ["meta_train", "meta_test"]
    path = tmp_path / "maml" / "attack.json"  # of a model that was trained further since
    path.write_text(path.read_text().replace('"iteration": 1', '"iteration": 0'))
    assert short_runs.main(command) == 0 and started[7:] == ["meta_train", "attack"]
