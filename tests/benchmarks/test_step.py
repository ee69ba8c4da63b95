"""The benchmark measures the real steps."""

import collections
import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import peers, step
from tests.helpers.runs import ROOT
from tf_metadrop import Config
from tf_metadrop.algorithm import steps
from tf_metadrop.modes import evaluate, train

TINY = ["--way=3", "--shot=1", "--query=2", "--metabatch=2", "--n_steps=1"]


def recorded(monkeypatch, name, *modules):
    """Lets `name`, a maker of steps, run, in all modules, and collects (step, its arguments) of every call."""
    real, calls = getattr(steps, name), []

    def make(*settings):
        made = real(*settings)

        def step(*arguments):
            calls.append((made, arguments))
            return made(*arguments)

        step.get_concrete_function = made.get_concrete_function
        return step

    for module in (steps, *modules):
        assert getattr(module, name) is real
        monkeypatch.setattr(module, name, make)
    return calls


def operations(made, arguments):
    """How often each operation stands in the graph of a compiled step, loops and all, for these arguments."""
    graph = made.get_concrete_function(*arguments).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return collections.Counter(node.op for node in nodes)


@pytest.mark.nightly
def test_benchmark_times_the_very_steps_of_training_and_evaluation(monkeypatch, tmp_path):
    train_calls = recorded(monkeypatch, "make_train_step", train)
    test_calls = recorded(monkeypatch, "make_test_step", evaluate)
    small = dict(dataset="strokes", way=3, shot=1, query=2, metabatch=2, n_steps=1)
    result = step.measure(Config(**small), iters=1)
    assert result["median_s"] > 0 and result["peak_rss_mb"] > 100 and result["first_call_s"] > 0
    assert len(train_calls) == 3 and not test_calls  # two to warm up
    step.measure(Config(**small, mode="meta_test"), iters=1)
    assert len(train_calls) == len(test_calls) == 3

    train.meta_train(Config(**small, n_train_iters=0, n_eval_batches=1, savedir=str(tmp_path), wandb="disabled"))
    assert len(train_calls) == len(test_calls) == 4
    for calls in (train_calls, test_calls):
        timed, trained = operations(*calls[0]), operations(*calls[-1])
        assert timed == trained and timed["Conv2D"] > 0
        assert len({made for made, _ in calls[:3]}) == 1
    assert operations(*train_calls[0]) != operations(*test_calls[0])


@pytest.mark.slow
def test_a_measurement_ends_with_one_json_object():
    """In a process of its own, whose peak is its own: not that of the larger one which started it."""
    ballast = np.ones(2**27)  # 1 GiB
    command = [sys.executable, "-m", "benchmarks.step", *TINY, "--iters=1"]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    result = json.loads(out.splitlines()[-1])
    assert result["median_s"] > 0 and result["first_call_s"] > 0 and 100 < result["peak_rss_mb"] < 1000
    assert result["settings"]["way"] == 3
    del ballast


@pytest.mark.parametrize(
    ("pattern", "program", "arguments"),
    [
        ("--suite sets --way itself: leave it out", step, ["--suite", "--way=3"]),
        ("--mode=export has no step to time", step, ["--mode=export"]),
        ("--mode=export has no step to time", peers, ["--mode=export"]),
        ("the method maml has no plain version", peers, ["--maml"]),
        ("--second_order=tf1 has no plain version", peers, ["--second_order=tf1"]),
    ],
)
def test_what_cannot_be_measured_is_said(pattern, program, arguments, capsys):
    assert program.main(["benchmarks", *arguments]) == 2
    assert pattern in capsys.readouterr().err
