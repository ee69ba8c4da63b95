"""Folders of pictures that a data set is made of: which are taken, and which are refused."""

import re
import shutil

import pytest

from tests.helpers.own_images import FOLDERS, build, save
from tf_metadrop.data import description

BAD = {
    "empty": ([], "has no folder of images for each class"),
    "one class": (["only/x.png"], "has no folder of images for each class"),
    "too few": (["a/x.png", "b/x.png", "c/x.png"], "3 classes are too few for train, val and test"),
    "twins": (
        [f"{name}/x.png" for name in ("Cat", "cat", "b", "c", "d", "e", "f", "g")],
        "the same name except for case",
    ),
    "in two splits": (
        [f"{split}/{name}/x.png" for split in ("train", "test") for name in "ab"],
        "a in train and a in test",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_sources_that_cannot_be_used(case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    files, sentence = BAD[case]
    (tmp_path / "source").mkdir()
    for number, file in enumerate(files):
        save(tmp_path / "source" / file, number, 0)
    assert build("--source=source") == 2
    captured = capsys.readouterr().err
    assert sentence in captured and captured.count("\n") == 1 and not (tmp_path / "data").exists()


def test_copies_in_a_class_and_folders_of_folders_are_said(source, capsys):
    shutil.copy(source / "bee" / "0.png", source / "bee" / "0 (1).png")
    (source / "yak" / "2024").mkdir(parents=True)
    shutil.copy(source / "bee" / "0.png", source / "yak" / "2024")
    assert build("--source=source") == 0
    out = capsys.readouterr().out
    assert re.search(r"note: 1 images are copies of one in the same class: \w+/bee \(1\)\. A task may have", out)
    assert re.search(r"left out 1 folders whose images are in folders below them: source/yak\.", out)


def test_folders_beside_the_pictures_are_no_classes(source, capsys):
    """As of data sets that have attributes and parts beside images/."""
    source.rename(source.parent / "images")
    source.mkdir()
    (source.parent / "images").rename(source / "images")
    for name in "attributes", "parts":
        (source / name).mkdir()
        (source / name / "list.txt").write_text("1 2 3")
    (source / "images" / "ant" / "more").mkdir()
    (source / "images" / "notes").mkdir()
    (source / "images" / "notes" / "a.txt").write_text("x")
    assert build("--source=source", "--data_dir=else where") == 0
    out = capsys.readouterr().out
    assert "--source=source: using source/images" in out
    assert "left out 1 folders without a picture: source/images/notes." in out
    assert "left out 1 folders inside those of the classes: source/images/ant/more." in out
    assert "--dataset=zoo --data_dir='else where' --way=" in out


def test_a_split_is_refused_where_the_source_has_one(source, capsys):
    for split, names in FOLDERS.items():
        for name in names:
            shutil.copytree(source / name, f"halves/{split}/{name}")
    for flag in "--split=0.5,0.25,0.25", "--split_seed=3":
        assert build("--source=halves", flag) == 2
        assert "halves has a split of its own: leave --split and --split_seed out." in capsys.readouterr().err
    assert build("--source=source", "--split=nan,nan,nan") == 2
    assert "are not fractions for train, val and test" in capsys.readouterr().err


@pytest.mark.parametrize(("train", "test"), [("Training", "Testing"), ("TRAIN", "Test")])
def test_folders_of_splits_have_their_usual_names(train, test, source, capsys):
    """As in downloads; taken for folders of classes, one of the two would be left out."""
    for split, names in (train, FOLDERS["train"]), (test, FOLDERS["test"]):
        for name in names:
            shutil.copytree(source / name, f"halves/{split}/{name}")
    assert build("--source=halves") == 0
    found = description.content(source.parent / "data" / "zoo" / "dataset.json")["splits"]
    assert {split: list(of["classes"]) for split, of in found.items()} == {
        split: sorted(FOLDERS[split]) for split in ("train", "test")
    }


def test_of_several_folders_of_classes_none_is_taken_unseen(source, capsys):
    for name in "animals", "plants":
        shutil.copytree(source, f"both/{name}")
    assert build("--source=both") == 2
    assert re.search(
        r"--source=both has several folders with classes \(both/animals, both/plants\): give one of them, or call them",
        capsys.readouterr().err,
    )
    assert not (source.parent / "data").exists()
    assert build("--source=both/plants") == 0
