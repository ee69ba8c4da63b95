"""Runs of main.py: small settings, calls in this process and in another, and what their savedirs hold."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np

from tf_metadrop import Config
from tf_metadrop.algorithm import outer_loop
from tf_metadrop.cli import main
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import rng
from tf_metadrop.runs import checkpoint

ROOT = pathlib.Path(__file__).parents[2]  # of the checkout
SMALL = (  # a training of seconds that logs, evaluates and saves several times
    "--dataset=strokes --way=2 --shot=1 --query=1 --metabatch=2 --n_steps=1 --n_train_iters=12 --save_freq=4 "
    "--log_freq=3 --eval_freq=5 --n_eval_batches=2"
).split()
TASK = ["--dataset=strokes", "--way=5", "--query=2", "--metabatch=2", "--n_steps=1", "--wandb=disabled"]
TASK_SETTINGS = dict(dataset="strokes", way=5, query=2, metabatch=2, n_steps=1)  # those of TASK


def call(*arguments) -> None:
    """Runs main.py in this process; it must succeed."""
    assert main.main(["main.py", *map(str, arguments), "--wandb=disabled"]) == 0


def start(*arguments, **options) -> subprocess.Popen:
    """Starts main.py in a process of its own."""
    command = [sys.executable, str(ROOT / "main.py"), *map(str, arguments)]
    environment = {**os.environ, "WANDB_MODE": "disabled"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment, **options
    )


def run(*arguments) -> str:
    """What main.py prints in a process of its own; it must succeed."""
    process = start(*arguments)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def stop_after_one(save):
    """checkpoint.save, and then what Ctrl-C does."""

    def save_and_stop(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    return save_and_stop


def arrays(savedir: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of a savedir's state."""
    with np.load(savedir / "state.npz") as file:
        return {name: file[name] for name in file.files if name != "json"}


def assert_equal_arrays(ours: dict, theirs: dict) -> None:
    """The same names, and under each the same bits."""
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


def assert_equal_runs(ours: pathlib.Path, theirs: pathlib.Path) -> None:
    """Weights, Adam's moments, episodes and logs, bit for bit."""
    assert_equal_arrays(arrays(ours), arrays(theirs))
    assert (ours / "metrics.jsonl").read_bytes() == (theirs / "metrics.jsonl").read_bytes()
    strip = lambda path: re.sub(r"\([\d.]+ secs\)|(savedir|save_freq): .*", "", (path / "meta_train.log").read_text())
    assert strip(ours) == strip(theirs)
    timed = lambda path: [json.loads(line)["iter"] for line in (path / "timing.jsonl").read_text().splitlines()]
    assert timed(ours) == timed(theirs)


def save_run(directory: pathlib.Path, **settings) -> None:
    """A savedir as a training run with the settings of TASK leaves it at iteration 0."""
    config = Config(**TASK_SETTINGS, savedir=str(directory), **settings)
    params = network.initial(load_method(config), config.way, rng.key(0, 0))
    state = outer_loop.initial_state(params, load_method(config))
    directory.mkdir(parents=True)
    generator = np.random.RandomState(0).get_state()
    progress = dict(sizes=dict.fromkeys(("meta_train.log", "metrics.jsonl", "timing.jsonl"), 0))
    checkpoint.save(directory, checkpoint.Saved(state, generator, config.as_dict(), progress))


def snapshot(folder: pathlib.Path) -> dict[str, str]:
    """What lies under a folder: a digest of every file."""
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "" for p in folder.rglob("*")}
