"""What a user can do wrong with flags, data and savedirs: one sentence, exit code 2, nothing changed on disk."""

import dataclasses
import re

import numpy as np
import pytest

from tests.helpers.runs import TASK, save_run, snapshot
from tf_metadrop import Config, UsageError
from tf_metadrop.algorithm import outer_loop
from tf_metadrop.cli import main
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.modes import compare, resume
from tf_metadrop.nn import rng
from tf_metadrop.runs import checkpoint, tf1_checkpoint, train_log


@pytest.fixture
def refused(tmp_path, capsys, monkeypatch):
    """Calls main.py with arguments; checks that it refuses in one sentence that matches, and touches nothing."""
    monkeypatch.chdir(tmp_path)

    def call(pattern, *arguments):
        before = snapshot(tmp_path)
        assert main.main(["main.py", *map(str, arguments)]) == 2
        err = capsys.readouterr().err
        assert re.fullmatch(r"main\.py: [^\n]+\.\n", err), err
        assert re.search(pattern, err), err
        assert snapshot(tmp_path) == before

    return call


@pytest.mark.parametrize(
    ("pattern", "arguments"),
    [
        ("--wya is not a flag: give --way", ["--wya=5"]),
        ("--way=five", ["--way=five"]),
        ("--mode=train is not known: choose one of meta_train, meta_test, export", ["--mode=train"]),
        ("--dataset=mnist is not known", ["--dataset=mnist"]),
        ("--noise_type=gauss is not known", ["--noise_type=gauss"]),
        ("--second_order=second is not known", ["--second_order=second"]),
        ("--episodes=shared is not known", ["--episodes=shared"]),
        ("--eval_split=train is not known", ["--eval_split=train"]),
        ("--wandb=on is not known", ["--wandb=on"]),
        ("--way=1 is too small: give at least 2", ["--way=1"]),
        ("--shot=0 is too small", ["--shot=0"]),
        ("--query=-3 is too small", ["--query=-3"]),
        ("--n_steps=0 is too small", ["--n_steps=0"]),
        ("--metabatch=0 is too small", ["--metabatch=0"]),
        ("--n_train_iters=-1 is too small", ["--n_train_iters=-1"]),
        ("--save_freq=0 is too small", ["--save_freq=0"]),
        ("--n_test_mc_samp=0 is too small", ["--n_test_mc_samp=0"]),
        ("--inner_lr=-0.1 is not a number above 0", ["--inner_lr=-0.1"]),
        ("--meta_lr=nan is not a number above 0", ["--meta_lr=nan"]),
        ("--meta_lr=inf is not a number above 0", ["--meta_lr=inf"]),
        (r"--inner_lr=1e\+300 is not a number", ["--inner_lr=1e300"]),
        ("--metabatch=1000000000000 is too large", ["--metabatch=1000000000000"]),
        ("--savedir is empty", ["--savedir="]),
        ("--savedir has no value before --way=5: give one, or leave --savedir out", ["--savedir", "--way=5"]),
        ("--data_dir has no value before --nomaml", ["--data_dir", "--nomaml"]),
        ("'~nobody/x' is not a flag", ["~nobody/x"]),
        ("--seed=-1 is too small", ["--seed=-1"]),
        ("--seed=4294967296 is too large", ["--seed=4294967296"]),
        ("--maml=True and --noise_type=metadrop contradict", ["--maml", "--noise_type=metadrop"]),
        ("--maml=False and --noise_type=maml contradict", ["--nomaml", "--noise_type=maml"]),
        ("'5' is not a flag", ["--dataset", "strokes", "--maml", "5"]),
        ("nowhere.flags", ["--flagfile=nowhere.flags"]),
    ],
)
def test_flags(refused, pattern, arguments):
    refused(pattern, *arguments)


def test_flag_file_with_an_unknown_flag(refused, tmp_path):
    (tmp_path / "a.flags").write_text("# comment\n--dataset=strokes\n--shots=1\n")
    refused("--shots is not a flag: give --shot", "--flagfile=a.flags")


def test_data(refused, tmp_path):
    refused(r"data/omniglot/train.npy.*python get_data.py --dataset omniglot", "--wandb=disabled")
    refused("--way 141 is more than the 140 classes", *TASK, "--way=141")
    refused("--shot 10 and --query 11 need 21 images", *TASK, "--shot=10", "--query=11")
    (tmp_path / "data" / "omniglot").mkdir(parents=True)
    (tmp_path / "data" / "omniglot" / "train.npy").write_bytes(b"no array")
    refused("train.npy", "--wandb=disabled", "--way=5")


def test_training_into_a_savedir_that_holds_something_else(refused, tmp_path):
    save_run(tmp_path / "run")
    refused("run with --shot=1, --inner_lr=0.1, not --shot=2, --inner_lr=0.2: give the same, or another --savedir",
            *TASK, "--savedir=run", "--shot=2", "--inner_lr=0.2")  # fmt: skip
    refused("--noise_type=metadrop, not .*--noise_type=maml", *TASK, "--savedir=run", "--maml")
    refused("run holds a run and --noresume forbids", *TASK, "--savedir=run", "--noresume")
    (tmp_path / "theirs").mkdir()
    params = network.initial(load_method(Config(dataset="strokes")), 5, rng.key(0, 0))
    tf1_checkpoint.write(tmp_path / "theirs", {name: w.numpy() for name, w in params.items()})
    refused("theirs holds a checkpoint of the TF1 program", *TASK, "--savedir=theirs")
    (tmp_path / "file").write_text("")
    refused("--savedir=file is a file: give a folder", *TASK, "--savedir=file")
    refused("file is a file: give a folder", "--mode=meta_test", "--savedir=file")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "meta_train.log").write_text("gpu_id: 0\n\n\nIter 0 start, learning rate 0.001000\n")
    refused("logs holds logs of another run, but no checkpoint", *TASK, "--savedir=logs")
    (tmp_path / "logs" / "meta_train.log").rename(tmp_path / "logs" / "metrics.jsonl")
    refused("logs holds logs of another run, but no checkpoint", *TASK, "--savedir=logs")


def test_training_where_the_state_was_lost(refused, tmp_path):
    """Weights and logs of this very run, which went beyond iteration 0, are not what a killed start leaves."""
    (tmp_path / "run").mkdir()
    log = tmp_path / "run" / "meta_train.log"
    header = train_log.header(Config(dataset="strokes", way=5, query=2, metabatch=2, n_steps=1, savedir="run")).decode()
    log.write_text(f"{header}\nIter 0 start\nmeta_train: ...\n\nIter 60000 start\n")
    refused("run holds logs of another run, but no checkpoint", *TASK, "--savedir=run")
    params = network.initial(load_method(Config(dataset="strokes")), 5, rng.key(0, 0))
    tf1_checkpoint.write(tmp_path / "run", {name: w.numpy() for name, w in params.items()})
    for text in (log.read_text(), "", header[:99]):
        log.write_text(text)
        refused("run holds a checkpoint of the TF1 program .*no state.npz", *TASK, "--savedir=run")


@pytest.mark.parametrize("shown", [0, 99, None])
def test_a_start_that_was_killed_before_its_first_checkpoint_is_made_anew(shown, tmp_path, monkeypatch, capsys):
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path)
    config = Config(dataset="strokes", way=5, query=2, metabatch=2, n_steps=1, n_train_iters=7, savedir="elsewhere/run")
    text = train_log.header(config).decode()[:shown]
    (tmp_path / "run" / "meta_train.log").write_text(text if shown is not None else f"{text}\nIter 0 start\n")
    assert resume.find_run(tmp_path / "run", config) is None
    if shown is None:
        with pytest.raises(UsageError, match="holds logs of another run"):
            resume.find_run(tmp_path / "run", dataclasses.replace(config, shot=2))


def test_meta_test_and_export_without_a_fitting_model(refused, tmp_path):
    test = ["--mode=meta_test", "--wandb=disabled", "--data_dir=data"]
    refused("checkpoints/strokes_5way1shot_metadrop.* does not exist: train first", *TASK, "--mode=meta_test")
    save_run(tmp_path / "run")
    refused("was trained with --way=5: give the same here, or leave it out", *test, "--savedir=run", "--way=6")
    refused("was trained with --dataset=strokes", *test, "--savedir=run", "--dataset=omniglot")
    refused("was trained with --maml=False, --noise_type=metadrop", *test, "--savedir=run", "--maml")
    refused(
        "--n_test_iters=3 is less than one --metabatch=4", *test, "--savedir=run", "--n_test_iters=3", "--metabatch=4"
    )
    refused("--mode=export needs 15 classes of 23 images", "--mode=export", "--savedir=run", "--query=22")
    whole = (tmp_path / "run" / "state.npz").read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"PK\x03\x04 nothing", whole[:200] + b"\0" * 200 + whole[400:]):
        (tmp_path / "run" / "state.npz").write_bytes(broken)
        refused("run/state.npz is broken", *test, "--savedir=run")
        refused("run/state.npz is broken", *TASK, "--savedir=run")


@pytest.mark.parametrize("part", ["random/keys", "params/theta/conv1_w", "m/theta/conv1_w", "iteration", "json"])
def test_state_without_a_part(refused, tmp_path, part):
    save_run(tmp_path / "run")
    with np.load(tmp_path / "run" / "state.npz") as file:
        arrays = {name: file[name] for name in file.files if name != part}
    np.savez(tmp_path / "run" / "state.npz", **arrays)
    refused("run", *TASK, "--savedir=run")


def test_flag_file_that_is_no_text(refused, tmp_path):
    (tmp_path / "a.flags").write_bytes(b"\xff\x00--way")
    refused("--flagfile a.flags is not a text in UTF-8", "--flagfile=a.flags")


def test_tf1_checkpoints_that_do_not_fit(refused, tmp_path):
    test = ["--mode=meta_test", "--savedir=theirs", "--wandb=disabled"]
    (tmp_path / "theirs").mkdir()
    refused("theirs.* does not exist|no checkpoint", *test)
    (tmp_path / "theirs" / "checkpoint").write_bytes(b"\xff\xfd")
    refused("theirs/checkpoint is not a text in UTF-8", *test)
    params = {
        name: w.numpy() for name, w in network.initial(load_method(Config(dataset="strokes")), 5, rng.key(0, 0)).items()
    }
    tf1_checkpoint.write(tmp_path / "theirs", params)
    refused(
        r"theta/dense_w of shape \(64, 5\) but strokes 4-way needs \(64, 4\)", *test, "--dataset=strokes", "--way=4"
    )
    refused("theta/conv1_w of shape .* but mimgnet", *test, "--dataset=mimgnet", "--way=5")
    tf1_checkpoint.write(tmp_path / "theirs", {name: w for name, w in params.items() if name != "phi/conb3_b"})
    refused("theirs has no variable phi/conb3_b", *test, "--dataset=strokes", "--way=5")
    data = tmp_path / "theirs" / "model.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    refused("theirs/model is not a readable TensorFlow checkpoint", *test, "--dataset=strokes", "--way=5")


def test_val_needs_classes_that_were_not_trained_on(refused, tmp_path):
    config = Config(dataset="omniglot", way=5, savedir="run")
    folder = tmp_path / "data" / "omniglot"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        np.save(folder / f"{split}.npy", np.zeros([40, 20, 28, 28], np.uint8) + 255 * np.eye(28, dtype=np.uint8))
    params = network.initial(load_method(Config()), 5, rng.key(0, 0))
    state = outer_loop.initial_state(params, load_method(config))
    (tmp_path / "run").mkdir()
    saved = checkpoint.Saved(state, np.random.RandomState(0).get_state(), config.as_dict(), {})
    checkpoint.save(tmp_path / "run", saved)
    sentence = "run was trained on all training classes, so none are left"
    refused(sentence, "--mode=meta_test", "--savedir=run", "--eval_split=val")
    on_val = dataclasses.replace(config, eval_split="val", data_dir=str(tmp_path / "data"), savedir="other")
    with pytest.raises(UsageError, match=sentence):  # as the first of two runs that are compared
        compare.load_like(tmp_path / "run", on_val)


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        ("--inner=adam is not known: choose one of metasgd, sgd", ["--inner=adam"]),
        ("--regularizer=l2 is not known: choose one of info_dropout, manifold_mixup, none, vib", ["--regularizer=l2"]),
        ("--adv_train=outer is not known: choose one of inner, none, query", ["--adv_train=outer"]),
        ("--adv_norm=l3 is not known: choose one of l1, l2, linf", ["--adv_norm=l3"]),
        ("--adv_eps=-1.0 is not a number of at least 0", ["--adv_eps=-1"]),
        ("--vib_beta=nan is not a number of at least 0", ["--vib_beta=nan"]),
        ("--mixup_alpha=0.0 is not a number above 0", ["--mixup_alpha=0"]),
        ("--noise_variant=theirs is not known: choose one of ours, report", ["--noise_variant=theirs"]),
        ("=report has no --noise_type=deterministic", ["--noise_variant=report", "--noise_type=deterministic"]),
        ("--n_steps=8192 is too large: give less than 8192", ["--n_steps=8192"]),
    ],
)  # fmt: skip
def test_flags_that_cannot_be(pattern, wrong, capsys):
    assert main.main(["main.py", *wrong]) == 2
    assert pattern in capsys.readouterr().err
