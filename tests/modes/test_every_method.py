"""Every method from the command line: trained, resumed, tested, exported, attacked."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from tests.helpers.often import often
from tests.helpers.runs import assert_equal_arrays, call, stop_after_one
from tf_metadrop import Config, MetaLearner, UsageError
from tf_metadrop.cli import main
from tf_metadrop.data import DATASETS
from tf_metadrop.runs import checkpoint, tf1_checkpoint
from tf_metadrop.util import safe_pickle

TASK = (
    "--way=2 --shot=2 --query=1 --metabatch=2 --n_steps=1 --blocks=2 --save_freq=1 --eval_freq=9 --n_eval_batches=1"
).split()
METHODS = [  # name, second_order, tasks, the flags that make it
    ("deterministic", "exact", "in_sequence", "--noise_type=deterministic"),
    ("fixed_gaussian", "tf1", "in_sequence", "--noise_type=fixed_gaussian"),
    ("weight_gaussian", "first", "at_once", "--noise_type=weight_gaussian"),
    ("additive_report", "exact", "in_sequence", "--noise_type=additive --noise_variant=report"),
    ("weight_gaussian_report", "tf1", "in_sequence", "--noise_type=weight_gaussian --noise_variant=report"),
    ("metasgd", "first", "at_once", "--maml --inner=metasgd"),
    ("metasgd_metadrop", "tf1", "in_sequence", "--inner=metasgd"),
    ("maml_manifold_mixup", "tf1", "at_once", "--maml --regularizer=manifold_mixup"),
    ("maml_vib", "exact", "in_sequence", "--maml --regularizer=vib"),
    ("maml_info_dropout", "first", "at_once", "--maml --regularizer=info_dropout"),
    ("metadrop_adv_inner_l1_5", "exact", "in_sequence", "--adv_train=inner --adv_norm=l1 --adv_eps=5.0 --adv_steps=1"),
    ("metadrop_adv_query_l2_1", "first", "at_once", "--adv_train=query --adv_norm=l2 --adv_eps=1.0 --adv_steps=1"),
]
RESUMED = "metasgd_metadrop", "maml_vib"
OFTEN = "metasgd_metadrop", "maml_vib"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "second_order", "tasks", "method"), often(METHODS, OFTEN, lambda case: case[0]))
def test_method_in_every_mode(name, second_order, tasks, method, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    method, tasks = method.split(), f"--tasks={tasks}"
    common = ["--dataset=strokes", *TASK, *method, f"--second_order={second_order}", tasks]
    call(*common, "--n_train_iters=1")
    savedir = tmp_path / "checkpoints" / f"strokes_2way2shot_{name}_blocks2"
    whole = checkpoint.load(savedir).state
    if name in RESUMED:
        check_resumed(whole, [*common, "--n_train_iters=1", "--savedir=cut"], tmp_path / "cut")
    assert set(tf1_checkpoint.read(savedir)) == set(whole.params)  # the TF1 program finds its own variables among them
    test = [f"--savedir={savedir}", "--n_test_iters=2", "--metabatch=2", "--n_test_mc_samp=2", tasks]
    call("--mode=meta_test", *test)
    result = json.loads((savedir / "meta_test.json").read_text())
    assert Config(**{**result["config"], "mode": "meta_test"}).method == f"{name}_blocks2"
    call("--mode=export", *test)
    call("--mode=attack", *test, "--attack_norms=linf", "--attack_radii=0,0.1", "--attack_steps=1")
    with open(savedir / "attack.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["accuracy_percent"]) == pytest.approx(result["accuracy"], abs=1e-3)
    header = (savedir / "meta_train.log").read_text()
    assert all(f"\n{flag[2:].replace('=', ': ')}\n" in header for flag in method if "=" in flag)


@pytest.mark.slow
def test_float64_in_every_mode(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    test = "--savedir=run", "--n_test_iters=2", "--metabatch=1", "--n_test_mc_samp=2"
    call("--dataset=strokes", *TASK, "--inner_lr=0.01", "--n_train_iters=1", "--savedir=run", "--precision=float64")
    state, cents = checkpoint.load(tmp_path / "run").state, []
    assert {w.dtype.name for w in (*state.params.values(), *state.slots["m"].values())} == {"float64"}
    assert {w.dtype.name for w in tf1_checkpoint.read(tmp_path / "run").values()} == {"float32"}
    for precision in ("float32", "float64"):
        call("--mode=meta_test", *test, f"--precision={precision}")
        cents.append(json.loads((tmp_path / "run" / "meta_test.json").read_text())["cent"])
    assert cents[0] == pytest.approx(cents[1], rel=1e-4) and cents[0] != cents[1]
    call("--mode=export", *test, "--precision=float64")
    assert safe_pickle.load(tmp_path / "run" / "export.pkl")[0]["htr_sample"].dtype == "float64"
    call("--mode=attack", *test, "--precision=float64", "--attack_norms=l1", "--attack_radii=0,1", "--attack_steps=1")
    learner, images = MetaLearner.load("run", precision="float64"), np.eye(28)[None].repeat(4, 0)
    assert learner.adapt(images, [0, 0, 1, 1]).predict_proba(images).dtype == "float64"


def check_resumed(whole, arguments, savedir):
    """A run that is interrupted after its first checkpoint ends as one that is not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", stop_after_one(checkpoint.save))
        assert main.main(["main.py", "--wandb=disabled", *arguments]) == 130
    call(*arguments)
    assert_equal_arrays(checkpoint.load(savedir).state.params, whole.params)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", [["--inner=metasgd", "--regularizer=info_dropout"], ["--noise_type=weight_gaussian"]]
)
def test_on_mimgnet(method, tmp_path):
    folder = tmp_path / "data" / "mimgnet"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        pixels = np.random.RandomState(0).randint(0, 256, [4, 6, *DATASETS["mimgnet"].image_shape])
        np.save(folder / f"{split}.npy", pixels.astype(np.uint8))
    run = [f"--data_dir={tmp_path / 'data'}", f"--savedir={tmp_path / 'run'}"]
    call("--dataset=mimgnet", *TASK, *run, *method, "--n_train_iters=0", "--inner_lr=0.01")
    call("--mode=meta_test", *run, "--n_test_iters=1", "--metabatch=1")


def test_a_run_goes_on_with_its_own_method_only(tmp_path, capsys):
    run = ["--dataset=strokes", *TASK, f"--savedir={tmp_path / 'run'}", "--n_train_iters=0"]
    call(*run, "--maml")
    for other, pattern in (
        (["--maml", "--inner=metasgd"], "run with --inner=sgd, not --inner=metasgd"),
        (["--maml", "--regularizer=vib"], "run with --regularizer=none, not --regularizer=vib"),
    ):
        assert main.main(["main.py", "--wandb=disabled", *run, *other]) == 2
        assert pattern in capsys.readouterr().err
    assert main.main(["main.py", "--mode=meta_test", f"--savedir={tmp_path / 'run'}", "--inner=metasgd"]) == 2
    assert "was trained with --inner=sgd: give the same here, or leave it out" in capsys.readouterr().err


def test_learned_rates_take_no_other_one(tmp_path, capsys):
    run = [f"--savedir={tmp_path / 'run'}", "--wandb=disabled"]
    call("--dataset=strokes", *TASK, *run, "--n_train_iters=0", "--maml", "--inner=metasgd", "--inner_lr=0.4")
    test = "--mode=meta_test", "--n_test_iters=1", "--metabatch=1", *run
    call(*test, "--inner_lr=0.4")
    assert main.main(["main.py", *test, "--inner_lr=50"]) == 2
    sentence = "inner_lr=50 has no effect on --inner=metasgd, which learned its rates from 0.4 on: leave it out."
    assert sentence in capsys.readouterr().err
    with pytest.raises(UsageError, match=sentence):
        MetaLearner.load(tmp_path / "run", inner_lr=50.0)
    learner = MetaLearner.load(tmp_path / "run")
    with pytest.raises(UsageError, match=sentence):
        learner.config = dataclasses.replace(learner.config, inner_lr=50.0)
    learner.save(tmp_path / "classifier")
    with pytest.raises(UsageError, match=sentence):
        MetaLearner.load(tmp_path / "classifier", inner_lr=50.0)
    with pytest.raises(UsageError, match="eval_normalization=support is for meta_test: leave it out"):
        MetaLearner.load(tmp_path / "run", eval_normalization="support")
