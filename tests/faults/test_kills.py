"""A run that is killed, terminated or interrupted, again and again, ends as one that never was.

pytest tests/faults --kills=50     the long form; CI kills three times
"""

import errno
import random
import re
import signal
import time

import pytest

from tests.helpers.runs import arrays, assert_equal_runs, call, run, start
from tf_metadrop.cli import main
from tf_metadrop.runs import train_log
from tf_metadrop.util import signals

SMALL = (
    "--dataset=strokes --way=2 --shot=1 --query=1 --metabatch=2 --n_steps=1 --n_train_iters=60 --save_freq=3 "
    "--blocks=2 --log_freq=2 --eval_freq=20 --n_eval_batches=2 --second_order=first --wandb=disabled"
).split()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    savedir = tmp_path_factory.mktemp("whole") / "run"
    call(*SMALL, f"--savedir={savedir}")
    return savedir


def kill_at(process, savedir, chance):
    """Kills it at an instant that chance decides, every other time while it saves; False if it ended before."""
    began = time.monotonic()
    while "\nIter " not in "\n" + process.stdout.readline():
        if process.poll() is not None:
            return False
    if chance.random() < 0.5:
        part = chance.choice([".state.npz.tmp", ".model.tmp", "state.previous.npz"])
        before = (savedir / part).stat().st_mtime_ns if (savedir / part).exists() else 0
        while process.poll() is None and time.monotonic() - began < 60:
            try:
                if (savedir / part).stat().st_mtime_ns != before:
                    break
            except FileNotFoundError:
                continue
    else:
        time.sleep(chance.uniform(0, 2))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def test_killed_at_random_instants(whole, tmp_path, request):
    chance, savedir = random.Random(request.config.getoption("--fault_seed")), tmp_path / "run"
    kills = 0
    while kills < request.config.getoption("--kills"):
        process = start(*SMALL, f"--savedir={savedir}")
        if kill_at(process, savedir, chance):
            kills += 1
        elif process.wait() == 0:  # it was faster: once more from the beginning
            assert_equal_runs(savedir, whole)
            savedir = tmp_path / f"run{kills}"
    run(*SMALL, f"--savedir={savedir}")
    assert_equal_runs(savedir, whole)


def heed():
    """In a process that is started: it takes signals, also where the tests themselves ignore them."""
    for number in signals.OF_SIGNAL:
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.nightly),
        pytest.param(signal.SIGHUP, marks=pytest.mark.nightly),
    ],
)
def test_asked_to_end_it_saves_and_goes_on_later(whole, tmp_path, number):
    savedir = tmp_path / "run"
    process = start(*SMALL, "--save_freq=100", f"--savedir={savedir}", preexec_fn=heed)
    while "Iter 6 " not in process.stdout.readline():
        assert process.poll() is None
    asked = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - asked < 10
    assert process.returncode == 128 + number and err.count("\n") == 1, err
    reached = int(re.search(r"saved iteration (\d+); the same command resumes from there", out)[1])
    assert 5 <= reached < 60 and arrays(savedir)["iteration"] == reached + 1
    assert f"resuming at iteration {reached + 1}" in run(*SMALL, "--save_freq=100", f"--savedir={savedir}")
    assert_equal_runs(savedir, whole)


def test_asked_to_end_in_the_first_evaluation_it_says_that_nothing_is_saved(whole, tmp_path):
    savedir = tmp_path / "run"
    process = start(*SMALL, f"--savedir={savedir}", preexec_fn=heed)
    while "Iter 0 meta_train" not in process.stdout.readline():  # then it traces the evaluation: a second or more
        assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGHUP and err.count("\n") == 1, err
    assert "nothing is saved: " in out and not (savedir / "state.npz").exists()
    run(*SMALL, f"--savedir={savedir}")
    assert_equal_runs(savedir, whole)


def test_two_processes_on_one_savedir(tmp_path):
    savedir, long = tmp_path / "run", [*SMALL, "--maml", "--n_train_iters=100000"]
    first = start(*long, f"--savedir={savedir}")
    while "Iter 6 " not in first.stdout.readline():
        assert first.poll() is None
    second = start(*long, f"--savedir={savedir}")
    _, err = second.communicate(timeout=60)
    assert second.returncode == 2 and re.fullmatch(r"main\.py: another process runs --mode=meta_train in [^\n]+\n", err)
    assert first.poll() is None
    run("--mode=meta_test", f"--savedir={savedir}", "--n_test_iters=2", "--metabatch=2")  # beside a training
    first.kill()
    first.communicate()
    third = start(*long, f"--savedir={savedir}")  # the lock has died with its holder
    while "resuming" not in (line := third.stdout.readline()):
        assert line, third.stderr.read()
    third.kill()
    third.communicate()


def test_a_reader_that_goes_away_costs_nothing(tmp_path, monkeypatch):
    """`metadrop train ... | head`: the next line of the log cannot be printed, and the run saves."""
    call = ["main.py", *SMALL, "--save_freq=100", "--n_train_iters=8", f"--savedir={tmp_path}"]

    def write(text, *_, **__):
        if "Iter 6 " in text:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(train_log.tqdm, "write", write)
    assert main.main(call) == 141
    assert arrays(tmp_path)["iteration"] == 6  # iteration 6 is computed again
    monkeypatch.undo()
    assert main.main(call) == 0
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert len([line for line in lines if '"iter": 6,' in line and '"acc"' in line]) == 1
