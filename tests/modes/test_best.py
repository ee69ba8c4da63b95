"""The weights of the best validation accuracy, which a training keeps beside those of the last iteration."""

import json
import shutil

import pytest
from PIL import Image

from tests.helpers.runs import assert_equal_arrays, stop_after_one
from tf_metadrop import Config, MetaLearner, UsageError, attack_model, export_features, meta_test, meta_train
from tf_metadrop.cli import adapt
from tf_metadrop.data import load_split
from tf_metadrop.modes.train import Training
from tf_metadrop.runs import checkpoint

RUN = dict(
    dataset="strokes", way=2, shot=1, query=8, metabatch=1, n_steps=1, maml=True, wandb="disabled", eval_split="val",
    n_train_iters=6, eval_freq=2, save_freq=3, n_eval_batches=1, log_freq=1,
)  # fmt: skip


def best_of_log(savedir):
    lines = [json.loads(line) for line in (savedir / "metrics.jsonl").read_text().splitlines()]
    evaluations = [(line["iter"], line["val_acc"]) for line in lines if "val_acc" in line]
    return max(evaluations, key=lambda pair: pair[1])  # of several the first


@pytest.fixture(scope="module")
def savedir(tmp_path_factory):
    """A run whose best evaluation is neither the first nor the last."""
    folder = tmp_path_factory.mktemp("best") / "run"
    meta_train(Config(savedir=str(folder), meta_lr=1e-3, seed=SEED, **RUN))
    return folder


SEED = 3


def test_the_best_weights_are_those_of_the_best_evaluation(savedir, tmp_path):
    iteration, accuracy = best_of_log(savedir)
    assert 0 < iteration < RUN["n_train_iters"]
    params, run = checkpoint.load_params(savedir, "best")
    assert run["iteration"] == iteration and checkpoint.read(savedir / "best.npz").progress["best"] == {
        "iteration": iteration,
        "accuracy": accuracy,
    }
    shorter = tmp_path / "shorter"
    meta_train(Config(savedir=str(shorter), meta_lr=1e-3, seed=SEED, **RUN | dict(n_train_iters=iteration)))
    found = checkpoint.load_params(shorter)[0]
    assert_equal_arrays(found, params)
    assert_equal_arrays(found, MetaLearner.load(savedir, weights="best").params)


def test_best_weights_that_are_not_trained_say_so(savedir, tmp_path, capsys):
    """A run that was interrupted before its second evaluation has those of iteration 0; `adapt` tells what it takes."""
    run, support = tmp_path / "run", tmp_path / "support"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", stop_after_one(checkpoint.save))
        with pytest.raises(KeyboardInterrupt):
            meta_train(Config(savedir=str(run), **RUN | dict(eval_freq=6)))
    capsys.readouterr()
    MetaLearner.load(run)
    MetaLearner.load(savedir, weights="best")
    assert "warning" not in capsys.readouterr().err
    MetaLearner.load(run, weights="best")
    assert "best.npz has the weights of iteration 0, which are not trained" in capsys.readouterr().err
    for number, image in enumerate(load_split("strokes", "", "val")[:2, 0, ..., 0]):
        (support / str(number)).mkdir(parents=True)
        Image.fromarray(image).save(support / str(number) / "0.png")
    command = ["metadrop adapt", f"--support={support}"]
    assert adapt.main([*command, f"--savedir={run}", f"--out={tmp_path / 'one'}"]) == 0
    iteration = checkpoint.load_params(run)[1]["iteration"]
    assert f"{run}: its training is at iteration {iteration} of 6; " in capsys.readouterr().out and iteration < 6
    assert adapt.main([*command, f"--savedir={savedir}", f"--out={tmp_path / 'two'}"]) == 0
    assert "its training is at" not in capsys.readouterr().out


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_best_weights(savedir, tmp_path, monkeypatch):
    for again in range(3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(checkpoint, "save", stop_after_one(checkpoint.save))
            try:
                meta_train(Config(savedir=str(tmp_path / "run"), meta_lr=1e-3, seed=SEED, **RUN))
            except KeyboardInterrupt:
                assert again < 3
    meta_train(Config(savedir=str(tmp_path / "run"), meta_lr=1e-3, seed=SEED, **RUN))
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (savedir / "metrics.jsonl").read_bytes()
    (one, of_one), (other, of_other) = (checkpoint.load_params(run, "best") for run in (savedir, tmp_path / "run"))
    assert of_one["iteration"] == of_other["iteration"]
    assert_equal_arrays(one, other)


def test_what_is_made_of_the_best_weights_has_a_name_of_its_own(savedir):
    test = Config(savedir=str(savedir), way=2, query=8, n_test_iters=12, metabatch=1, wandb="disabled")
    best = Config(**{**test.as_dict(), "weights": "best", "mode": "meta_test"})
    (last, of_best) = meta_test(test, {"n_test_iters"}), meta_test(best, {"n_test_iters", "weights"})
    assert last["trained_with"]["iteration"] == 6 and of_best["trained_with"]["iteration"] == best_of_log(savedir)[0]
    attack = Config(
        **{**best.as_dict(), "attack_norms": "l2", "attack_radii": "1", "attack_steps": 1, "n_test_iters": 1}
    )
    attack_model(attack, {"n_test_iters", "weights", "attack_norms", "attack_radii", "attack_steps"})
    export_features(best, {"weights", "query"})
    for stem in ("meta_test", "meta_test_best", "attack_best", "export_best"):
        found = json.loads((savedir / f"{stem}.json").read_text())
        assert found["config"]["weights"] == ("best" if "best" in stem else "last")
    assert not (savedir / "attack.json").exists() and not (savedir / "export.pkl").exists()


def test_nothing_is_chosen_by_test_classes(tmp_path):
    config = Config(savedir=str(tmp_path / "run"), **RUN | dict(eval_split="test", n_train_iters=0))
    meta_train(config)
    assert not (tmp_path / "run" / "best.npz").exists()
    with pytest.raises(UsageError, match=r"has no best.npz: train with --eval_split=val"):
        meta_test(Config(**{**config.as_dict(), "weights": "best"}))


def test_an_accuracy_that_is_no_better_is_not_kept(tmp_path, monkeypatch):
    accuracies, kept = iter([0.5, 0.25, float("nan"), 0.75]), []
    monkeypatch.setattr(checkpoint, "save_best", lambda directory, saved: kept.append(saved.progress["best"]))
    keep = Training.keep_best
    monkeypatch.setattr(Training, "keep_best", lambda self, done, accuracy: keep(self, done, next(accuracies)))
    meta_train(Config(savedir=str(tmp_path / "run"), **RUN))
    assert kept == [{"iteration": 0, "accuracy": 0.5}, {"iteration": 6, "accuracy": 0.75}]


def test_a_copy_without_the_state_has_its_best_weights_and_no_others(savedir, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(savedir, copy, ignore=shutil.ignore_patterns("state*"))
    for weights in ("best", "last"):
        wanted, run = checkpoint.load_params(savedir, weights)
        found, of_copy = checkpoint.load_params(copy, weights)
        assert_equal_arrays(found, wanted)
        assert of_copy["iteration"] == run["iteration"]


def test_the_best_is_measured_again_where_a_resumed_run_has_other_evaluations(savedir, tmp_path):
    """A lucky accuracy on a few tasks would stay the best of all."""
    run = tmp_path / "run"
    shutil.copytree(savedir, run)
    meta_train(Config(savedir=str(run), meta_lr=1e-3, seed=SEED, **RUN | dict(n_train_iters=7, n_eval_batches=20)))
    best = checkpoint.load(run).progress["best"]
    whole = tmp_path / "whole"
    meta_train(Config(savedir=str(whole), meta_lr=1e-3, seed=SEED, **RUN | dict(n_eval_batches=20)))
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    accuracies = {line["iter"]: line["val_acc"] for line in lines if "val_acc" in line}
    assert best["iteration"] in (best_of_log(savedir)[0], 7)
    assert best["accuracy"] >= accuracies[best_of_log(savedir)[0]] - 1e-6
    if best["iteration"] != 7:
        assert best["accuracy"] == pytest.approx(accuracies[best["iteration"]], abs=1e-6)
