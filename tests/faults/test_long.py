"""What a long run needs: memory, files and threads that do not grow, and numbers that do not hang on threads."""

import json
import os
import pathlib
import re

import pytest

from tests.helpers.runs import start

TINY = (
    "--dataset=strokes --way=2 --shot=1 --query=1 --metabatch=1 --n_steps=1 --second_order=first --n_eval_batches=2"
).split()
MB = 1 << 20


def resources(pid):
    """(bytes of memory, open files, threads) of a process."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    number = lambda name: int(re.search(rf"{name}:\s+(\d+)", status)[1])
    return number("RssAnon") << 10, len(os.listdir(f"/proc/{pid}/fd")), number("Threads")


@pytest.mark.nightly
def test_1000_iterations_take_no_more_than_200(tmp_path):
    often = "--log_freq=50", "--save_freq=50", "--eval_freq=50", "--n_train_iters=1000"
    process = start(*TINY, *often, f"--savedir={tmp_path / 'run'}")
    samples = {}
    for line in process.stdout:
        if found := re.match(r"Iter (\d+) meta_train:", line):
            samples[int(found[1])] = resources(process.pid)
    assert process.wait() == 0 and set(range(0, 1001, 50)) <= set(samples)
    memory, files, threads = zip(*[samples[iteration] for iteration in range(200, 1000, 50)], strict=True)
    assert memory[-1] - memory[0] < 20 * MB, [m // MB for m in memory]
    assert max(files) <= files[0] + 1 and max(threads) == min(threads), (files, threads)


@pytest.mark.nightly
def test_one_and_two_threads_give_the_same_up_to_rounding(tmp_path):
    """Not the same bits: TensorFlow shares a sum out among its threads, and adds up in another order."""
    runs = []
    for threads in ("1", "2"):
        savedir = tmp_path / threads
        options = [f"--savedir={savedir}", "--n_train_iters=5", "--precision=float64", "--log_freq=1"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TF_NUM_INTRAOP_THREADS", threads)
            process = start(*TINY, *options)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        runs.append([json.loads(line) for line in (savedir / "metrics.jsonl").read_text().splitlines()])
    assert len(runs[0]) > 5
    for one, two in zip(*runs, strict=True):
        assert one == pytest.approx(two, rel=1e-9)
