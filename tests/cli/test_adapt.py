"""metadrop adapt and metadrop predict: a folder of pictures, and single pictures classified."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.helpers.runs import snapshot
from tf_metadrop import Config, MetaLearner, meta_train
from tf_metadrop.cli import adapt, predict
from tf_metadrop.data import load_split

CLASSES = "house", "fish", "key"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    savedir = tmp_path_factory.mktemp("adapt") / "run"
    meta_train(
        Config(
            dataset="strokes", way=4, query=2, metabatch=1, n_steps=2, n_train_iters=0, n_eval_batches=1,
            wandb="disabled", savedir=str(savedir),
        )
    )  # fmt: skip
    return savedir


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Drawings black on white, of unequal classes and sizes, with what systems leave beside them."""
    monkeypatch.chdir(tmp_path)
    images = load_split("strokes", "", "val")
    for number, (name, kind) in enumerate(zip(CLASSES, ("png", "jpg", "bmp"), strict=True)):
        for instance in range(6):
            large = np.kron(255 - images[number, instance, ..., 0], np.ones([number + 2] * 2, np.uint8))
            folder = tmp_path / ("support" if instance <= number else "query") / name
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(large).save(folder / f"{instance}.{kind}")
    (tmp_path / "support" / "fish" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "support" / "__MACOSX").mkdir()
    return tmp_path


def adapted(trained, *flags):
    return adapt.main(["metadrop adapt", f"--savedir={trained}", "--support=support", "--out=classifier", *flags])


def test_pictures_are_classified_one_by_one(trained, pictures, capsys):
    assert adapted(trained) == 0
    out = capsys.readouterr().out
    assert "adapted to 3 classes (fish 2, house 1, key 3)" in out and "metadrop predict classifier IMAGES" in out
    learner = MetaLearner.load("classifier")
    assert learner.config.n_test_mc_samp == 10 and learner.classes.tolist() == sorted(CLASSES)
    files = ["query/house", "query/key/3.bmp"]
    arguments = ["metadrop predict", "classifier", *files, "--csv=table.csv", "--html=sheet.html"]
    assert predict.main(arguments) == 0
    shown = capsys.readouterr().out.splitlines()
    with open("table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [*[f"query/house/{i}.png" for i in range(1, 6)], "query/key/3.bmp"]
    for row, line in zip(rows, shown, strict=True):
        alone = learner.predict_proba(row["file"], invert="auto")[0]
        assert row["class"] == learner.classes[alone.argmax()] and line.startswith(f"{row['file']}  {row['class']}  0.")
        assert float(row["probability"]) == pytest.approx(alone.max(), abs=1e-6)
    sheet = (pictures / "sheet.html").read_text()
    assert sheet.count("<img") == 6 and "query/key/3.bmp" in sheet and "<b>" in sheet and "http" not in sheet
    assert predict.main([*arguments[:4], "--reject_below=1"]) == 0
    assert all("none of these" in line for line in capsys.readouterr().out.splitlines())
    assert adapted(trained, "--overwrite", "--n_steps=3", "--n_test_mc_samp=1", "--invert=yes") == 0
    assert MetaLearner.load("classifier").config.n_steps == 3


def remove_all(folder):
    for path in folder.iterdir():
        shutil.rmtree(path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: shutil.rmtree(f), "--support=support is not a folder"),
        (remove_all, "has 0 folders: give one that holds a folder of images for each of at least two classes"),
        (lambda f: [shutil.rmtree(f / name) for name in ("fish", "key")], "has 1 folders"),
        (lambda f: (f / "empty").mkdir(), "empty has no images: put some there"),
        (lambda f: shutil.copytree(f / "key", f / "Key"), "has the classes Key and key, which differ only in case"),
        (lambda f: (f / "key" / "9.png").write_text("text"), "support/key/9.png is not a readable image"),
        (lambda f: [shutil.copytree(f / "key", f / n) for n in "ab"], "has 5 classes: give 2 to 4, the model's way"),
        (lambda f: (f.parent / "classifier").mkdir(), "--out=classifier exists"),
    ],
)
def test_support_that_cannot_be_used(spoil, words, trained, pictures, capsys):
    spoil(pictures / "support")
    before = snapshot(pictures)
    assert adapted(trained) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1 and err.startswith("metadrop adapt: ")
    assert snapshot(pictures) == before  # nothing half written


def test_what_cannot_be_classified(trained, pictures, capsys):
    assert adapted(trained) == 0
    capsys.readouterr()
    (pictures / "text.png").write_text("text")
    (pictures / "nothing").mkdir()
    MetaLearner.load(trained).save("unadapted")
    for arguments, words in [
        (["classifier", "none.png"], "none.png does not exist"),
        (["classifier", "text.png"], "text.png is not a readable image"),
        (["classifier", "nothing"], "nothing holds no images"),
        (["classifier", "query/key", "--reject_below=60"], "--reject_below=60.0 is not a probability"),
        (["unadapted", "query/key"], "unadapted was not adapted to any classes"),
        (
            ["classifier", "query/key", "--csv=nothing"],
            "--csv=nothing is a folder, or in none: give the name of a file",
        ),
        (["classifier", "query/key", "--html=no/sheet.html"], "--html=no/sheet.html is a folder, or in none"),
        (["support", "query/key"], "support"),
        (["missing", "query/key"], "missing is not a folder: give the folder that `metadrop adapt` wrote"),
    ]:
        assert predict.main(["metadrop predict", *arguments]) == 2
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1, err
    (pictures / "classifier" / "classifier.npz").write_bytes(b"cut")
    assert predict.main(["metadrop predict", "classifier", "query/key"]) == 2
    assert "holds no readable classifier" in capsys.readouterr().err


def test_files_of_a_folder_that_are_no_pictures_are_skipped_and_said(trained, pictures, capsys):
    assert adapted(trained) == 0
    (pictures / "query" / "house" / "notes.txt").write_text("x")
    (pictures / "query" / "house" / "more").mkdir()
    capsys.readouterr()
    assert predict.main(["metadrop predict", "classifier", "query/house", "--csv=table.csv"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 5
    assert "skipped 1 files, the first: query/house/notes.txt is not a readable image" in err
    assert "left out 1 folders in query/house" in err
    before = (pictures / "table.csv").read_bytes()
    assert predict.main(["metadrop predict", "classifier", "query/house/notes.txt", "--csv=table.csv"]) == 2
    assert "notes.txt is not a readable image" in capsys.readouterr().err
    assert (pictures / "table.csv").read_bytes() == before


def test_names_that_are_no_text_are_written_as_their_bytes(trained, pictures, capsys):
    """As of an archive from a Windows disk."""
    name = "K\udce4se"
    try:
        (pictures / "support" / "house").rename(pictures / "support" / name)
    except OSError:
        pytest.skip("this file system takes text alone")
    assert adapted(trained) == 0
    (pictures / "query" / "key" / "3.bmp").rename(pictures / "query" / "key" / f"{name}.bmp")
    capsys.readouterr()
    files = ["query/key", "--csv=table.csv", "--html=sheet.html"]
    assert predict.main(["metadrop predict", "classifier", *files]) == 0
    for written in "table.csv", "sheet.html":
        assert "K\\udce4se.bmp" in (pictures / written).read_text()
