"""Training on several devices: the same numbers as on one, one writer, and a clear end when a worker stops."""

import json
import os
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.often import often
from tests.helpers.runs import ROOT
from tf_metadrop.cli import main

# In float64, so that rounding in another order stays rounding: in float32 a maximum or a ReLU on the edge now and then
# goes the other way, and moves the loss of three queries by more than 1e-6. Small steps keep it so.
SMALL = (
    "--dataset=strokes --way=3 --shot=1 --query=2 --metabatch=4 --n_steps=1 --blocks=2 --inner_lr=0.01 --meta_lr=1e-5 "
    "--precision=float64 --second_order=first --n_train_iters=4 "
    "--log_freq=1 --eval_freq=3 --n_eval_batches=1 --save_freq=2 --wandb=disabled"
).split()


def start(*arguments, tf_config=None):
    environment = {**os.environ, "TF_CONFIG": json.dumps(tf_config or {})}
    del environment["TF_CPP_MIN_LOG_LEVEL"]  # the tests' own: main.py has another default
    command = [sys.executable, str(ROOT / "main.py"), *map(str, arguments)]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)


def start_workers(savedir, *arguments):
    """Starts two workers on free ports of this machine; worker i is given <savedir>/<i>."""
    with socket.socket() as first, socket.socket() as second:
        sockets = first, second
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    configs = [dict(cluster=dict(worker=addresses), task=dict(type="worker", index=i)) for i in range(2)]
    return [start(*SMALL, *arguments, f"--savedir={savedir / str(i)}", tf_config=c) for i, c in enumerate(configs)]


def end(process, code=0, seconds=90):
    """Its stdout and stderr, after it has ended by itself with this exit code."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    assert process.returncode == code, err
    return out, err


def assert_same_run(ours, theirs):
    """Losses and accuracies equal to 1e-9, weights to a hundredth of what one step of Adam moves them."""
    numbers = [[json.loads(line) for line in (d / "metrics.jsonl").read_text().splitlines()] for d in (ours, theirs)]
    assert [line["iter"] for line in numbers[0]] == [0, 0, 1, 2, 3, 3, 4, 4] == [line["iter"] for line in numbers[1]]
    for mine, other in zip(*numbers, strict=True):
        assert mine == pytest.approx(other, rel=1e-9)
    with np.load(ours / "state.npz") as mine, np.load(theirs / "state.npz") as other:
        assert set(mine.files) == set(other.files) and mine["iteration"] == 5
        np.testing.assert_array_equal(mine["random/keys"], other["random/keys"])
        names = [name for name in mine.files if name.startswith("params/")]
        assert len(names) > 10
        for name in names:
            np.testing.assert_allclose(mine[name], other[name], atol=1e-7, err_msg=name)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    savedir = tmp_path_factory.mktemp("one") / "run"
    assert main.main(["main.py", *SMALL, f"--savedir={savedir}"]) == 0
    return savedir


@pytest.mark.slow
@pytest.mark.parametrize("xla", often(["on", "off"], ["off"]))
def test_two_devices_train_as_one(xla, one, tmp_path, capsys):
    """As on GPUs: tasks at once, nightly also compiled by XLA. In sequence: the workers below."""
    run = start(*SMALL, "--tasks=at_once", f"--xla={xla}", "--devices=2", f"--savedir={tmp_path / 'run'}")
    assert end(run, seconds=400)[1] == ""
    assert_same_run(tmp_path / "run", one)
    assert main.main(["main.py", *SMALL, f"--savedir={tmp_path / 'run'}"]) == 0  # the devices do not define a run
    assert "nothing to train" in capsys.readouterr().out


@pytest.mark.slow
def test_two_workers_train_as_one_process_and_only_the_chief_writes(one, tmp_path):
    chief, other = start_workers(tmp_path)
    assert end(other) == ("", "")
    out, err = end(chief)
    assert "Iter 4 meta_train" in out and err == ""
    assert_same_run(tmp_path / "0", one)
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


LONGER = "--n_train_iters=40", "--eval_freq=100"


def kill_one(savedir, killed):
    """Kills this worker after the first checkpoint; the other must end with our sentence and nothing else."""
    processes = start_workers(savedir, *LONGER)
    while "Iter 3 meta_train" not in (line := processes[0].stdout.readline()):
        assert line, processes[0].stderr.read()
    processes[killed].send_signal(signal.SIGKILL)
    processes[killed].wait()
    _, err = end(processes[1 - killed], code=2)
    sentence = r"main\.py: another worker stopped, [^\n]* resumes from the last checkpoint in [^\n]*/0\.\n"
    assert re.fullmatch(sentence, err), err


@pytest.mark.nightly
def test_killed_worker_ends_the_chief_and_the_same_commands_resume(tmp_path):
    kill_one(tmp_path, killed=1)
    with np.load(tmp_path / "0" / "state.npz") as saved:
        reached = int(saved["iteration"])
    assert 3 <= reached < 41
    chief, other = start_workers(tmp_path, *LONGER)
    out, _ = end(chief)
    assert end(other) == ("", "") and f"resuming at iteration {reached}" in out
    with np.load(tmp_path / "0" / "state.npz") as saved:
        assert saved["iteration"] == 41
    lines = [json.loads(line)["iter"] for line in (tmp_path / "0" / "metrics.jsonl").read_text().splitlines()]
    assert lines == [0, *range(41), 40]  # the evaluations at 0 and the end, and each iteration once


@pytest.mark.nightly
@pytest.mark.slow
def test_killed_chief_ends_the_worker(tmp_path):
    kill_one(tmp_path, killed=0)
    assert not (tmp_path / "1").exists()


@pytest.mark.slow
def test_the_refusal_of_the_chief_is_every_worker_s(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "metrics.jsonl").write_text("")
    for process in start_workers(tmp_path):
        _, err = end(process, code=2)
        assert re.fullmatch(r"main\.py: \S+/0 holds logs of another run, but no checkpoint: [^\n]+\n", err), err


def at(index, addresses=("a:1", "b:2", "c:3")):
    return {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}


@pytest.mark.parametrize(
    ("pattern", "arguments", "tf_config"),
    [
        ("--metabatch=4 cannot be shared evenly by 3 devices .*--devices", ["--devices=3"], ""),
        ("--devices=0 is too small", ["--devices=0"], ""),
        ("--metabatch=4 cannot be shared evenly by 3 devices", [], at(0)),
        ("TF_CONFIG does not describe the workers", [], "{"),
        ("TF_CONFIG does not describe the workers", [], "[1]"),
        ("TF_CONFIG does not describe the workers", [], {"cluster": {"worker": ["a:1", "b:2"]}}),
        ("TF_CONFIG does not describe the workers", [], at(3)),
        ("TF_CONFIG does not describe the workers", [], at(0, ["a", "b"])),
        (
            "--devices=2 needs GPUs if TF_CONFIG names several workers",
            ["--devices=2", "--metabatch=6"],
            at(1),
        ),
    ],
)  # fmt: skip
def test_refusals(pattern, arguments, tf_config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_CONFIG", tf_config if isinstance(tf_config, str) else json.dumps(tf_config))
    assert main.main(["main.py", *SMALL, "--gpu_id=-1", *arguments]) == 2
    err = capsys.readouterr().err
    assert re.fullmatch(r"main\.py: [^\n]+\.\n", err) and re.search(pattern, err), err
    assert list(tmp_path.iterdir()) == []
