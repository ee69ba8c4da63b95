"""A user's folder of images as a data set: `metadrop data --source DIR --name NAME`, and --dataset=NAME."""

import errno
import json
import os
import shutil

import numpy as np
import pytest

from tests.helpers.own_images import COUNTS, FOLDERS, SPEC, build, opened
from tests.helpers.runs import snapshot
from tf_metadrop import Config, meta_test, meta_train
from tf_metadrop.algorithm.episodes import Images
from tf_metadrop.data import description, draw, load_split, sources
from tf_metadrop.errors import UsageError


def test_classes_of_every_size_are_kept_whole(source, capsys):
    assert build("--source=source", "--split_seed=3") == 0
    out = capsys.readouterr().out
    assert "data/zoo/train.npy: 6 classes of " in out and "Next: metadrop train --dataset=zoo --way=2" in out
    assert "--inner_lr=0.05" in out
    names = []
    for split in ("train", "val", "test"):
        found = opened(split)
        assert found.flat.shape == (sum(found.counts), 16, 16, 3) and found.flat.dtype == np.uint8
        for label, name in enumerate(found.names):
            images = found.of_class(label)
            assert len(images) == COUNTS[name]
            red = [*COUNTS].index(name)
            assert (images[..., 0] == 20 * red + 5).all()
            assert (images[:, 0, 0, 1] == 25 * np.arange(COUNTS[name]) + 5).all()  # in the order of their names
        names += found.names
    assert sorted(names) == sorted(COUNTS)
    first = snapshot(source.parent / "data")
    shutil.rmtree("data")
    assert build("--source=source", "--split_seed=3") == 0 and snapshot(source.parent / "data") == first
    assert build("--source=source", "--split_seed=4", "--data_dir=other") == 0
    assert json.loads((source.parent / "other/zoo/dataset.json").read_text())["splits"].keys() == FOLDERS.keys()
    assert description.content(source.parent / "other/zoo/dataset.json") != description.content(
        source.parent / "data/zoo/dataset.json"
    )


def test_the_split_is_the_sources_own_where_it_has_one(source):
    for split, names in FOLDERS.items():
        for name in names:
            shutil.copytree(source / name, f"halves/{split if split != 'val' else 'validation'}/{name}")
    shutil.copytree("halves", "above/halves")
    lists = source.parent / "lists"
    for split, names in FOLDERS.items():
        rows = [(f"{name}{number}.png", name) for name in names for number in range(COUNTS[name])]
        for row in rows:
            (lists / "images").mkdir(parents=True, exist_ok=True)
            shutil.copy(source / row[1] / row[0].removeprefix(row[1]), lists / "images" / row[0])
        text = "filename,label\n" + "".join(f"{file},{label}\n" for file, label in rows)
        (lists / f"{split}.csv").write_text(text)
    for place in ("halves", "above", "lists"):
        assert build(f"--source={place}", f"--data_dir={place}_data") == 0
        for split, names in FOLDERS.items():
            found = sources.open_split(SPEC, f"{place}_data", split)
            assert list(found.names) == names and found.counts.tolist() == [COUNTS[name] for name in names]
            assert (found.flat[found.starts, 0, 0, 0] == [20 * [*COUNTS].index(name) + 5 for name in names]).all()


def test_equal_classes_are_drawn_as_before():
    for episodes in ("independent", "shared_classes"):
        args = 5, 2, 3, 4, episodes
        one = draw(np.random.RandomState(1), 30, 20, *args)
        other = draw(np.random.RandomState(1), 30, [20] * 30, *args, starts=np.arange(30) * 20)
        for ours, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_episodes_of_unequal_classes(source, capsys):
    assert build("--source=source", "--split=0.6,0,0.4") == 0
    train = opened("train")
    config = Config(dataset="zoo", way=2, shot=1, query=3, metabatch=8)
    images = Images(train, config)
    assert ("classes are left out" in capsys.readouterr().err) == (min(train.counts) < 4)
    generator, seen = np.random.RandomState(0), set()
    ends = train.starts + train.counts
    for _ in range(200):
        for of_task in np.concatenate(images.episodes(generator), 1):
            support, query = of_task[:2], of_task[2:].reshape(2, 3)
            for row, first in zip(query, support, strict=True):
                label = int(np.searchsorted(ends, first, "right"))
                assert all(train.starts[label] <= place < ends[label] for place in row) and first not in row
                seen |= {first, *row}
    large = [label for label in range(train.n_classes) if train.counts[label] >= 4]
    assert seen == {place for label in large for place in range(train.starts[label], ends[label])}


def test_classes_that_are_too_small_are_left_out_and_said(source, capsys):
    assert build("--source=source", "--split=0.6,0,0.4") == 0
    capsys.readouterr()
    split = opened("train")
    most = int(sorted(split.counts)[-2])
    Images(split, Config(dataset="zoo", way=2, shot=1, query=most - 1))
    said = capsys.readouterr().err
    left = [name for name, count in zip(split.names, split.counts, strict=True) if count < most]
    assert f"{len(left)} of {split.n_classes} classes are left out" in said and all(name in said for name in left[:5])
    with pytest.raises(UsageError, match=f"--query={most} need, fewer than --way=2"):
        Images(split, Config(dataset="zoo", way=2, shot=1, query=most))


def test_large_files_stay_on_disk(source, monkeypatch):
    assert build("--source=source") == 0
    whole = opened("train", hold_out_val=True)
    monkeypatch.setattr(sources, "MAPPED", 1)
    mapped = opened("train")
    assert isinstance(mapped.flat, np.memmap) and mapped.fingerprint() == whole.fingerprint()
    config = Config(dataset="zoo", way=2, shot=1, query=1, metabatch=2)
    one, other = Images(whole, config), Images(mapped, config)
    episodes = one.episodes(np.random.RandomState(0))
    for images in (one, other):
        flat, support, _ = images.batch(*episodes)
        np.testing.assert_array_equal(np.asarray(flat)[support], whole.flat[episodes[0]])


def test_validation_classes_are_held_out_where_there_are_none(source):
    assert build("--source=source", "--split=0.6,0,0.4") == 0
    whole, train, val = opened("train"), opened("train", hold_out_val=True), opened("val", hold_out_val=True)
    assert sorted(train.names + val.names) == sorted(whole.names) and val.n_classes == 1
    assert len({split.fingerprint() for split in (whole, train, val)}) == 3
    for split in (train, val):
        for label, name in enumerate(split.names):
            np.testing.assert_array_equal(split.of_class(label), whole.of_class(whole.names.index(name)))


def test_in_every_mode(source, monkeypatch, capsys):
    """Trained, tested, attacked, and adapted without its data set: the savedir and the classifier describe it."""
    from tf_metadrop.cli import adapt, main, predict, tables

    assert build("--source=source", "--split=0.6,0,0.4") == 0
    run = dict(dataset="zoo", way=2, shot=1, query=2, metabatch=1, n_steps=1, wandb="disabled", savedir="run")
    meta_train(Config(**run, n_train_iters=1, n_eval_batches=1, eval_split="test", second_order="first"))
    tested = meta_test(Config(savedir="run", n_test_iters=3, metabatch=1, wandb="disabled"))
    assert 0 <= tested["accuracy"] <= 100
    attack = "--attack_norms=linf", "--attack_radii=0,0.1", "--attack_steps=1", "--n_test_iters=2", "--metabatch=1"
    assert main.main(["main.py", "--mode=attack", "--savedir=run", *attack]) == 0
    shutil.rmtree("data")
    monkeypatch.setattr(description, "_seen", {})
    shutil.move("run", "elsewhere/run")
    capsys.readouterr()
    assert tables.main(["metadrop tables", "elsewhere"]) == 0 and "zoo 2-way 1-shot" in capsys.readouterr().out
    shutil.move("elsewhere/run", "run")
    for name in ("bee", "eel"):
        (source.parent / "mine" / name).mkdir(parents=True)
        shutil.copy(source / name / "0.png", source.parent / "mine" / name)
    assert adapt.main(["metadrop adapt", "--savedir=run", "--support=mine", "--out=classifier"]) == 0
    shutil.rmtree("run")
    monkeypatch.setattr(description, "_seen", {})
    capsys.readouterr()
    assert predict.main(["metadrop predict", "classifier", "source/bee/1.png", "source/eel"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 9


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--source=nowhere"], "--source=nowhere is not a folder"),
        ([], "--source is missing"),
        (["--source=source", "--split=0.5,0.5"], "--split=0.5,0.5 is not three fractions"),
        (["--source=source", "--split=0.5,0.1,0.1"], "--split=0.5,0.1,0.1 are not fractions"),
        (["--source="], "--source is empty: give a value"),
        (["--source=source", "--data_dir="], "--data_dir is empty: give a value"),
        (["--source=source", "--size=8"], "--size=8 is out of range: give 16 to 1024"),
        (["--source=source", "--name=omniglot"], "--name=omniglot cannot be the name"),
        (["--source=source", "--name=my pets"], "--name=my pets cannot be the name"),
        (["--source=source", "--dataset=mimgnet"], "--dataset is not for a data set of your own"),
    ],
)
def test_flags_that_cannot_be_used(flags, sentence, source, capsys):
    assert build(*flags) == 2
    assert sentence in capsys.readouterr().err and not (source.parent / "data").exists()


def test_classes_of_unreadable_images_and_twins_are_said(source, capsys):
    for file in (source / "ant").iterdir():
        file.write_bytes(b"no image")
    shutil.copy(source / "bee" / "0.png", source / "cow" / "zz.png")
    assert build("--source=source") == 0
    out = capsys.readouterr().out
    assert "left out 1 classes without a usable image" in out and "/ant" in out
    assert "note: 1 images are in two classes, with identical pixels" in out
    assert "copies" not in out and "folders below them" not in out
    assert build("--source=source") == 2
    assert "already exists" in capsys.readouterr().err


def with_splits(folder, splits):
    """Writes other splits into the dataset.json of a folder; None: it has none, as in a savedir."""
    found = json.loads((folder / "dataset.json").read_text())
    found.pop("splits")
    (folder / "dataset.json").write_text(json.dumps(found | ({} if splits is None else {"splits": splits})))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: (folder / "train.npy").unlink(), "train.npy is missing: make it again"),
        (lambda folder: np.save(folder / "train.npy", np.zeros([3, 16, 16, 3], np.uint8)), "is not the uint8 array"),
        (lambda folder: (folder / "dataset.json").write_text("{"), "is not a description of a data set"),
        (
            lambda folder: (folder / "dataset.json").write_text('{"format": 9}'),
            r"^\S* has format 9, but this version reads 1: [^:]*$",
        ),
        (lambda folder: (folder / "dataset.json").write_text('{"format": 1, "name": "zoo"}'), "no usable name, size"),
        (lambda folder: with_splits(folder, None), "has no split train: make the data set again"),
        (lambda folder: with_splits(folder, []), "has no usable splits, with classes and a digest"),
        (lambda folder: with_splits(folder, {"train": {"digest": "a"}}), "has no usable splits"),
        (lambda folder: with_splits(folder, {"train": {"classes": {"a": 2, "b": 2}}}), "has no usable splits"),
        (lambda folder: with_splits(folder, {"train": {"classes": {"a": "2"}, "digest": "a"}}), "has no usable splits"),
        (
            lambda folder: with_splits(folder, {"train": {"classes": {"a": 7, "b": -1}, "digest": "a"}}),
            "no usable splits",
        ),
    ],
)
def test_data_sets_that_are_broken(change, sentence, source):
    assert build("--source=source") == 0
    change(source.parent / "data" / "zoo")
    with pytest.raises(UsageError, match=sentence):
        load_split("zoo", "data", "train")


def test_unequal_classes_are_no_array(source):
    assert build("--source=source") == 0
    with pytest.raises(UsageError, match="they are not one array"):
        load_split("zoo", "data", "train")


def test_a_description_is_replaced_whole(source, monkeypatch):
    """A training writes it into its savedir at every start."""
    assert build("--source=source") == 0
    folder = source.parent / "data" / "zoo"
    before = (folder / "dataset.json").read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        description.write(folder, description.read(folder / "dataset.json"))
    assert (folder / "dataset.json").read_bytes() == before
    assert not [path for path in folder.iterdir() if path.name.endswith(".tmp")]
