"""What a run says at its start, and of the arithmetic of its steps."""

import json

import pytest

from tf_metadrop import Config, meta_train
from tf_metadrop.algorithm import flops
from tf_metadrop.analysis import cost
from tf_metadrop.modes import train
from tf_metadrop.runs.finished import Run


def tiny_run(savedir, tasks="in_sequence"):
    return Config(
        mode="meta_train", dataset="strokes", way=2, shot=1, query=1, metabatch=2, n_steps=1, n_train_iters=0,
        n_eval_batches=1, blocks=2, maml=True, wandb="disabled", savedir=str(savedir), tasks=tasks,
    )  # fmt: skip


def said(savedir):
    return json.loads((savedir / "run.json").read_text())["gflop_per_iteration"]


@pytest.mark.slow
@pytest.mark.parametrize("tasks", ["in_sequence", "at_once"])
def test_a_run_says_the_work_of_its_steps(tmp_path, tasks):
    c = tiny_run(tmp_path, tasks)
    meta_train(c)
    assert said(tmp_path) == pytest.approx(flops.train_step_flop(c) / 1e9, abs=0.001) and said(tmp_path) > 0.01


def test_a_run_whose_work_cannot_be_counted_goes_on_and_says_so(tmp_path, monkeypatch, capsys):
    def uncounted(graph):
        raise flops.Uncounted("the shape of x is not known")

    monkeypatch.setattr(flops, "flop", uncounted)
    c = tiny_run(tmp_path)
    meta_train(c)
    assert said(tmp_path) is None and (tmp_path / "state.npz").exists()
    assert "will not have the operations of a step: the shape of x is not known." in capsys.readouterr().out
    (row,) = cost.rows([Run(tmp_path, c, c.as_dict(), None, [])])
    assert row["GFLOP per iteration"] == row["TFLOP"] == "" and row["iterations"] == 1


@pytest.mark.parametrize(
    ("dataset", "rate", "noted"),
    [("mimgnet", 0.1, True), ("mimgnet", 0.01, False), ("omniglot", 0.1, False), ("strokes", 0.4, False)],
)
def test_a_rate_at_which_large_images_are_not_learned_is_noted(dataset, rate, noted):
    said_first = train.describe(Config(mode="meta_train", dataset=dataset, inner_lr=rate), None)
    assert (f"note: --inner_lr={rate:g} suits images of 28 pixels." in said_first) == noted
