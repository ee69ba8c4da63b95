"""Pictures of any format, mode and proportions, as they are read for a data set."""

import shutil
import struct

import numpy as np
import pytest
from PIL import Image

from tests.helpers.own_images import FOLDERS, SPEC, build, opened, save
from tf_metadrop import Config, MetaLearner
from tf_metadrop.data import description, own, pictures, sources
from tf_metadrop.errors import UsageError


def test_any_format_and_mode(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    modes = {"L": "png", "P": "gif", "RGBA": "png", "CMYK": "jpg", "I;16": "tif", "1": "bmp", "LA": "webp"}
    for split in ("train", "test"):
        for label, (mode, kind) in enumerate(modes.items()):
            path = tmp_path / "source" / split / f"{split}_{label}" / f"x.{kind}"
            path.parent.mkdir(parents=True)
            if mode == "I;16":
                Image.fromarray(np.full([30, 30], 200 * 257, np.uint16)).save(path)
            else:
                grey = 255 if mode == "1" else 200
                Image.new("RGB", (30, 30), (grey,) * 3).convert(mode if mode != "P" else "P").save(path)
    turned = Image.new("L", (32, 16), 0)
    turned.paste(255, (0, 0, 16, 16))  # the left half; by its EXIF the upper one
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "source/train/train_0/turned.png", exif=exif)
    for name in (".hidden.png", "Thumbs.db", "broken.png", "text.png"):
        (tmp_path / "source/train/train_1" / name).write_bytes(b"no image")
    Image.new("L", (30, 4)).save(tmp_path / "source/train/train_1/tiny.png")
    with pytest.raises(UsageError, match="tiny.png has only 30x4 pixels: give an image of at least 8x8"):
        pictures.read(tmp_path / "source/train/train_1/tiny.png", SPEC)
    shutil.copytree(tmp_path / "source/train/train_1", tmp_path / "source/train/__MACOSX")
    for channels in (1, 3):
        assert build("--source=source", f"--channels={channels}", f"--data_dir=d{channels}", "--fit=stretch") == 0
        out = capsys.readouterr().out
        assert "skipped 3 files that are not usable images" in out and "broken.png" in out
        found = sources.open_split(own.Wish("zoo", 16, channels).spec(), f"d{channels}", "train")
        assert found.n_classes == 7 and found.counts.tolist() == [2, 1, 1, 1, 1, 1, 1]
        upright = found.flat[0]
        assert upright[2].mean() > 250 and upright[-2].mean() < 5
        means = found.flat[[1, *range(2, 8)]].mean((1, 2, 3))
        np.testing.assert_allclose(means, [200, 200, 200, 200, 200, 255, 200], atol=2)
    listed = description.content(tmp_path / "d1/zoo/dataset.json")
    assert listed["resized"].startswith("both sides made to fit") and len(listed["skipped"]) == 3


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_proportions(tmp_path, monkeypatch, fit):
    """White with black ends: cropped away, kept and shrunk, or only shrunk."""
    monkeypatch.chdir(tmp_path)
    for split in FOLDERS:
        for label in ("a", "b"):
            wide = Image.new("RGB", (64, 32), "white")
            wide.paste(0, (0, 0, 16, 32))
            path = tmp_path / "wide" / split / f"{split}{label}" / "x.png"
            path.parent.mkdir(parents=True)
            wide.save(path)
    assert build("--source=wide", f"--fit={fit}") == 0
    image = opened("train").flat[0, ..., 0]
    assert image[8, 12] > 250 and (image[8, 0] > 200) == (fit == "crop")
    assert (image[0] == 0).all() == (fit == "pad")
    read = MetaLearner(Config(dataset="zoo", way=2))._spec  # new pictures are made to fit in the same way
    assert read.fit == fit


TURNED = struct.pack(">HHI4s", 274, 3, 1, b"\0\x06\0\0")  # orientation 6: the left side is up


ODD = {  # tags of a type that is not theirs, as some cameras write them
    "ResolutionUnit as text": struct.pack(">HHI4s", 296, 2, 2, b"2\0\0\0"),
    "XResolution as text": struct.pack(">HHI4s", 282, 2, 3, b"72\0\0"),
    "ImageWidth as bytes": struct.pack(">HHI4s", 256, 7, 4, b"\0\0\0<"),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_turned_photo_with_odd_exif_data_is_read(odd, tmp_path):
    head = b"Exif\0\0MM\0*\0\0\0\x08\0\x02"
    image = Image.new("RGB", (40, 20))
    image.paste("white", (0, 0, 20, 20))
    image.save(tmp_path / "photo.jpg", exif=head + b"".join(sorted([TURNED, ODD[odd]])) + b"\0" * 4)
    found = pictures.read(tmp_path / "photo.jpg", SPEC)
    assert found[2].mean() > 250 and found[-2].mean() < 5


def test_any_error_of_a_decoder_names_the_file(tmp_path, monkeypatch):
    save(tmp_path / "a.png", 1, 1)

    def broken(*_):
        raise NotImplementedError("a new kind of picture")

    monkeypatch.setattr(Image.Image, "convert", broken)
    with pytest.raises(UsageError, match=r"a\.png is not a readable image \(a new kind of picture\)"):
        pictures.read(tmp_path / "a.png", SPEC)


def test_16_bit_grey_with_a_transparent_colour_is_not_white(tmp_path):
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / "plain.png")
    with_colour = Image.fromarray(values)
    with_colour.info["transparency"] = 7
    with_colour.save(tmp_path / "colour.png")
    assert Image.open(tmp_path / "colour.png").has_transparency_data
    plain, colour = (pictures.read(tmp_path / f"{name}.png", SPEC) for name in ("plain", "colour"))
    np.testing.assert_array_equal(colour, plain)
