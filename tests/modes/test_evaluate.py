"""Which images and episodes training, evaluation and tests use, and the functions as a notebook calls them."""

import json
import types

import numpy as np
import pytest

from tests.helpers.runs import ROOT, stop_after_one
from tf_metadrop import Config, MetaLearner, UsageError, attack_model, export_features, meta_test, meta_train
from tf_metadrop.analysis import tables
from tf_metadrop.data import fingerprint, load_split, sources
from tf_metadrop.data.fingerprint import how_to_get
from tf_metadrop.modes import compare, evaluate, train
from tf_metadrop.runs import checkpoint, finished, loading
from tf_metadrop.runs.loading import need_images
from tf_metadrop.util import lock

TASK = dict(
    dataset="strokes", way=2, shot=1, query=8, metabatch=1, n_steps=1, blocks=2, second_order="first", wandb="disabled"
)  # fmt: skip
MAML = TASK | dict(maml=True)  # the quicker to trace


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    savedir = str(tmp_path_factory.mktemp("evaluate") / "run")
    meta_train(Config(n_train_iters=0, n_eval_batches=1, seed=3, n_test_mc_samp=2, savedir=savedir, **TASK))
    return savedir


@pytest.mark.slow
def test_functions_are_of_their_own_mode(trained, tmp_path):
    """However `mode` stands, which README's notebook does not give; and a test may run beside a training."""
    config = Config(savedir=trained, n_test_iters=3, **TASK)
    with lock.held(config.directory, "meta_train"):
        result = meta_test(config)
        assert result["config"]["mode"] == "meta_test" and result["episodes"] == 3
        assert meta_test(Config(savedir=trained, mode="meta_test", n_test_iters=3, **TASK))["cent"] == result["cent"]
        attack_model(
            Config(savedir=trained, n_test_iters=1, attack_norms="l2", attack_radii="1", attack_steps=1, **TASK)
        )
        export_features(config)
    for mode in ("attack", "export"):
        assert json.loads((config.directory / f"{mode}.json").read_text())["config"]["mode"] == mode
    meta_train(Config(mode="export", n_train_iters=0, n_eval_batches=1, savedir=str(tmp_path), **MAML))
    assert "\nmode: meta_train\n" in (tmp_path / "meta_train.log").read_text()


def test_a_loaded_learner_is_the_trained_one(trained):
    images = load_split("strokes", "", "val")[:2, :4].reshape(-1, 28, 28, 1)
    learner = MetaLearner.load(trained)
    assert (learner.config.seed, learner.config.n_test_mc_samp, learner.config.precision) == (3, 2, "float32")
    assert MetaLearner.load(trained, seed=4).config.seed == 4
    learners = [learner, MetaLearner(learner.config, learner.params)]
    one, other = [each.adapt(images, [0] * 4 + [1] * 4).predict_proba(images) for each in learners]
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("split", ["val", "test"])
def test_validation_classes_are_not_trained_on(split, tmp_path, monkeypatch):
    """Without a val.npy they are held out of the training classes, if they are asked for."""
    folder, seen = tmp_path / "omniglot", []
    folder.mkdir()
    numbers = np.arange(56, dtype=np.uint8)
    for name in ("train", "test"):
        np.save(folder / f"{name}.npy", np.broadcast_to(numbers[:, None, None, None], [56, 20, 28, 28]))
    class_of = lambda split: set(split.flat[split.starts, 0, 0, 0].tolist())
    Images = train.Images
    monkeypatch.setattr(train, "Images", lambda images, config: seen.append(class_of(images)) or Images(images, config))
    settings = MAML | dict(dataset="omniglot", data_dir=str(tmp_path), savedir=str(tmp_path / "run"), eval_split=split)
    meta_train(Config(n_train_iters=0, n_eval_batches=1, **settings))
    trained_on, evaluated_on = seen
    if split == "test":
        assert trained_on == evaluated_on == set(range(56))
    else:
        assert len(evaluated_on) == 8 and trained_on == set(range(56)) - evaluated_on
        meta_test(Config(n_test_iters=1, **settings))
        assert (tmp_path / "run" / "meta_val.json").exists() and not (tmp_path / "run" / "meta_test.json").exists()


@pytest.mark.slow
def test_a_run_knows_the_images_it_was_trained_on(tmp_path, capsys):
    """Another split of the same data has trained classes among its test classes: no number may come of it unnoticed."""
    classes = np.random.RandomState(0).randint(0, 256, [30, 20, 28, 28], np.uint8)
    for folder, order in (("mine", range(30)), ("other", range(29, -1, -1))):
        (tmp_path / folder / "omniglot").mkdir(parents=True)
        for name, part in (("train", list(order)[:20]), ("test", list(order)[20:])):
            np.save(tmp_path / folder / "omniglot" / f"{name}.npy", classes[part])
    config = lambda folder, **more: Config(
        **MAML | dict(dataset="omniglot", n_train_iters=1, n_eval_batches=1, save_freq=1, n_test_iters=1), **more,
        data_dir=str(tmp_path / folder), savedir=str(tmp_path / "run"),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint, "save", stop_after_one(checkpoint.save))
        meta_train(config("mine"))
    before = (tmp_path / "run" / "state.npz").read_bytes()
    with pytest.raises(UsageError, match=r"a run with other training images than those in --data_dir=\S+other"):
        meta_train(config("other"))
    assert (tmp_path / "run" / "state.npz").read_bytes() == before
    (tmp_path / "mine").rename(tmp_path / "moved")
    meta_train(config("moved"))
    capsys.readouterr()
    result = meta_test(config("moved"))
    assert result["trained_with"]["images"] == fingerprint(classes[:20, ..., None]) and capsys.readouterr().err == ""
    refused = pytest.raises(
        UsageError, match=r"run was trained on other images than those of \S+other/omniglot/train.npy"
    )
    few = dict(attack_norms="l2", attack_radii="1", attack_steps=1)
    for test in (
        meta_test,
        export_features,
        lambda c: attack_model(c),
        lambda c: compare.load_like(tmp_path / "run", c),
    ):
        with refused:
            test(config("other", **few))
    result = meta_test(config("other", other_images=True))
    assert result["trained_with"]["tested_with_images"] == fingerprint(classes[29:9:-1, ..., None])
    assert "is tested on other images than its own" in capsys.readouterr().out
    found = finished.load(tmp_path / "run")
    assert "trained with other images than tested with" in tables.settings_apart([found])[found.directory]
    (tmp_path / "other" / "omniglot" / "train.npy").unlink()  # test classes of one's own
    meta_test(config("other"))
    assert capsys.readouterr().err == ""
    (tmp_path / "other" / "omniglot" / "test.npy").unlink()
    with pytest.raises(
        UsageError, match=r"test.npy is missing, but \S+run is to be tested on it: give the --data_dir of"
    ):
        meta_test(config("other"))


@pytest.mark.parametrize(
    ("run", "advice"),
    [
        (
            {"images": "a377a03f56302d3b"},
            "with `python get_data.py --dataset omniglot --split vinyals --data_dir NEW`, a",
        ),
        (
            {"images": "5fec14c77b538899"},
            "with `python get_data.py --dataset omniglot --split random --preparation orig",
        ),
        (
            {"images": "0123456789abcdef", "data_dir": "mine"},
            "give the --data_dir of its training, which was mine",
        ),
        ({}, "another split may have its training classes among the test ones"),
    ],
)
def test_the_images_of_a_run_are_named(run, advice):
    assert advice in how_to_get(run)


def test_the_committed_weights_name_their_split(tmp_path):
    """Whoever tests them without data is told to build the split that they were trained with."""
    folders = sorted((ROOT / "checkpoints" / "trained").glob("*/*"))
    for folder in folders:
        _, run = checkpoint.load_params(folder)
        with pytest.raises(UsageError, match="`python get_data.py --dataset omniglot --split vinyals --data_dir NEW`"):
            need_images(folder, run, Config(data_dir=str(tmp_path)))
        assert run["iteration"] > 1000
    assert len(folders) >= 8


def test_no_images_are_read_where_there_is_nothing_to_compare(monkeypatch, tmp_path):
    """A run of the TF1 program does not say what it was trained on."""
    monkeypatch.setattr(loading, "training_images", lambda *_: pytest.fail("read"))
    loading.check_images(tmp_path, {"dataset": "omniglot"}, Config(data_dir=str(tmp_path)))


def test_images_of_another_size_are_not_to_be_built_again(tmp_path):
    (tmp_path / "mimgnet").mkdir()
    np.save(tmp_path / "mimgnet" / "train.npy", np.zeros([3, 4, 28, 28, 1], np.uint8))
    with pytest.raises(UsageError, match=r"has shape \[3, 4, 28, 28, 1\].*: give --dataset=omniglot, or"):
        load_split("mimgnet", str(tmp_path), "train")


@pytest.mark.slow
def test_images_on_disk_train_and_test_as_those_in_memory(tmp_path, monkeypatch):
    rng, results = np.random.RandomState(0), []
    (tmp_path / "omniglot").mkdir()
    for name in ("train", "val", "test"):
        np.save(tmp_path / "omniglot" / f"{name}.npy", rng.randint(0, 256, [10, 20, 784], np.uint8))
    for mapped in (1, 1 << 40):
        monkeypatch.setattr(sources, "MAPPED", mapped)
        savedir, of = tmp_path / str(mapped), MAML | dict(dataset="omniglot", data_dir=str(tmp_path), metabatch=2)
        config = Config(n_train_iters=2, n_eval_batches=2, log_freq=1, eval_freq=1, savedir=str(savedir), **of)
        assert isinstance(load_split("omniglot", str(tmp_path), "train"), np.memmap) == (mapped == 1)
        meta_train(config)
        meta_test(Config(n_test_iters=4, savedir=str(savedir), **of))
        attack_model(
            Config(savedir=str(savedir), n_test_iters=2, attack_norms="l2", attack_radii="1", attack_steps=1, **of)
        )
        both, _ = compare.meta_test_both(savedir, Config(n_test_iters=4, savedir=str(savedir), **of), set())
        assert both.logit_difference == 0
        files = [(savedir / f).read_text() for f in ("metrics.jsonl", "meta_test.csv", "attack.csv")]
        results.append([*files, both.cent.tolist()])
    assert results[0] == results[1]


def test_workers_with_other_images_are_refused():
    chief = types.SimpleNamespace(from_chief=lambda make: "another")
    with pytest.raises(UsageError, match="has other training images here than on the chief"):
        train.same_images(chief, Config(), "one", None)


def test_evaluations_have_as_many_batches_as_asked(tmp_path, monkeypatch):
    seen, run = [], evaluate.Evaluation.run
    monkeypatch.setattr(
        evaluate.Evaluation, "run", lambda *a, **k: seen.append(len(run(*a, **k)["cent"])) or run(*a, **k)
    )
    settings = MAML | dict(metabatch=2, n_eval_batches=3, eval_freq=2, n_train_iters=2)
    meta_train(Config(savedir=str(tmp_path / "run"), **settings))
    assert seen == [6, 6]
