"""Building of Omniglot from small made-up archives, and what can be wrong with them."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tf_metadrop.data import download, load_split, omniglot, omniglot_images, omniglot_splits, vinyals
from tf_metadrop.errors import UsageError

CHARACTERS = {
    "images_background": ["Greek/character01", "Greek/character02", "Latin/character01"],
    "images_evaluation": ["ULOG/character01", "ULOG/character02"],
}
ALL = sorted(CHARACTERS["images_background"] + CHARACTERS["images_evaluation"])


def png(seed=0, size=(105, 105)):
    image = Image.new("1", size, 1)
    ImageDraw.Draw(image).line([(10, 10), (30 + seed % 60, 20), (60, 90)], fill=0, width=3)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def members(part):
    names = enumerate(CHARACTERS[part])
    return {
        f"{part}/{name}/{number:04d}_{k:02d}.png": png(20 * number + k) for number, name in names for k in range(1, 21)
    }


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder with both zips, and the program told how much is in them."""
    parts = tuple(omniglot_images.Part(name, len(found), "0" * 32) for name, found in CHARACTERS.items())
    monkeypatch.setattr(omniglot_images, "PARTS", parts)
    monkeypatch.setattr(omniglot_splits, "TRAIN_CHARACTERS", 3)
    folder = tmp_path / "source"
    folder.mkdir()
    for part in CHARACTERS:
        write_zip(folder, part, members(part))
    return folder


def write_zip(folder, part, contents):
    with zipfile.ZipFile(folder / f"{part}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def write_split(folder, name, characters):
    path = folder / name
    lines = (f"{c}/rot{r}\n" for c in characters for r in ("000", "090", "180", "270"))
    path.write_text("".join(lines), encoding="utf-8-sig")  # as editors on Windows do
    return str(path)


def build(tmp_path, source, split_files=(), seed=0, val=False, named="random"):
    return omniglot.build(tmp_path / "data" / "omniglot", str(source), split_files, seed, val, named)


def files(tmp_path):
    folder = tmp_path / "data" / "omniglot"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_split_of_vinyals_et_al_is_line_for_line_that_of_its_files():
    digests = {name: hashlib.blake2b("\n".join(of).encode(), digest_size=8) for name, of in vinyals.split().items()}
    found = {name: digest.hexdigest() for name, digest in digests.items()}
    assert found == {"train": "32264d01957ac228", "test": "7ba7f00bec4db393"}  # of trainval.txt and test.txt


def test_the_split_of_vinyals_et_al_is_built_by_its_name(tmp_path, source, monkeypatch):
    monkeypatch.setattr(vinyals, "TRAIN", {"ULOG": 1, "Greek": 2})
    monkeypatch.setattr(vinyals, "TEST", {"ULOG": 2, "Latin": 1})
    build(tmp_path, source, named="vinyals")
    names = json.loads((tmp_path / "data/omniglot/classes.json").read_text())
    assert names["train"][::4] == [
        f"{c}/rot000" for c in ("ULOG/character01", "Greek/character01", "Greek/character02")
    ]
    assert names["test"][::4] == ["ULOG/character02/rot000", "Latin/character01/rot000"]


def test_classes_follow_the_split_files_and_rotations_turn_counter_clockwise(tmp_path, source):
    split = [write_split(source, "trainval.txt", ALL[2::-1]), write_split(source, "test.txt", ALL[3:])]
    lines = build(tmp_path, source, split)
    assert [line.split(": ")[1] for line in lines] == ["[12, 20, 28, 28, 1]", "[8, 20, 28, 28, 1]"]
    assert files(tmp_path) == ["classes.json", "test.npy", "train.npy"]
    train = load_split("omniglot", str(tmp_path / "data"), "train")
    names = json.loads((tmp_path / "data/omniglot/classes.json").read_text())["train"]
    assert names[0] == "Latin/character01/rot000" and names[4:6] == [
        "Greek/character02/rot000",
        "Greek/character02/rot090",
    ]
    for quarter in range(4):
        assert np.array_equal(train[4 + quarter], np.rot90(train[4], quarter, axes=(1, 2)))
    # Greek/character02 is number 1 of its part; its drawing of drawer 5 is the fifth image.
    expected = omniglot_images.shrink(png(20 + 5), "")
    assert np.array_equal(train[4, 4], expected)
    assert expected[0, 0] == 0 and expected.max() > 128


def test_the_original_preparation_picks_single_pixels(tmp_path, source):
    """Those in the middle of each of 28 x 28 parts, as Pillow's nearest does, from one-bit drawings."""
    omniglot.build(tmp_path / "data" / "omniglot", str(source), [], 0, False, preparation="original")
    split = json.loads((tmp_path / "data/omniglot/classes.json").read_text())
    assert split == omniglot_splits.random_split(ALL, 0)
    drawn = np.asarray(Image.open(io.BytesIO(png(20 * 1 + 5))))  # Greek/character02, fifth drawing
    middle = ((np.arange(28) + 0.5) * 105 / 28).astype(int)
    for quarter in range(4):
        label = f"Greek/character02/rot{90 * quarter:03d}"
        name = next(name for name, labels in split.items() if label in labels)
        made = load_split("omniglot", str(tmp_path / "data"), name)[split[name].index(label), 4, ..., 0]
        assert set(np.unique(made)) == {0, 255}
        np.testing.assert_array_equal(made == 0, np.rot90(drawn, quarter)[np.ix_(middle, middle)])


def test_random_split_keeps_rotations_together_and_depends_on_the_seed_only(tmp_path, source):
    build(tmp_path, source, seed=1)
    split = json.loads((tmp_path / "data/omniglot/classes.json").read_text())
    assert split == omniglot_splits.random_split(ALL, 1) and split != omniglot_splits.random_split(ALL, 3)
    kept = {name: {label.rsplit("/", 1)[0] for label in labels} for name, labels in split.items()}
    assert len(kept["train"]) == 3 and kept["train"] | kept["test"] == set(ALL) and not kept["train"] & kept["test"]


def test_val_writes_what_load_split_would_hold_out(tmp_path, source):
    build(tmp_path, source)
    held_out = load_split("omniglot", str(tmp_path / "data"), "val", hold_out_val=True)
    lines = omniglot.build(tmp_path / "other" / "omniglot", str(source), [], 0, True)
    assert "val.npy: [4, 20, 28, 28, 1]" in lines[1]
    assert np.array_equal(load_split("omniglot", str(tmp_path / "other"), "val"), held_out)


def test_unpacked_folders_give_the_same(tmp_path, source):
    for part in CHARACTERS:
        with zipfile.ZipFile(source / f"{part}.zip") as archive:
            archive.extractall(tmp_path / "unpacked")
    assert all(
        np.array_equal(a, b)
        for a, b in zip(
            omniglot_images.read_characters(source).values(),
            omniglot_images.read_characters(tmp_path / "unpacked").values(),
            strict=True,
        )
    )


def test_other_members_are_skipped(source):
    extra = {
        "images_background/": b"",
        "__MACOSX/images_background/Greek/character01/._0000_01.png": b"x",
        "README.md": b"y",
    }
    write_zip(source, "images_background", extra | members("images_background"))
    assert list(omniglot_images.read_characters(source)) == ALL


BAD = members("images_background")
FIRST = "images_background/Greek/character01/0000_01.png"


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({k: v for k, v in BAD.items() if k != FIRST}, "has 19 drawings of Greek/character01, not 20"),
        ({k: v for k, v in BAD.items() if "Latin" not in k}, "holds 2 characters instead of 3"),
        (BAD | {FIRST: png(size=(28, 28))}, "0000_01.png .* is 28x28, not 105x105"),
        (BAD | {FIRST: b"no image"}, "0000_01.png .* is not a readable PNG image"),
        (BAD | {FIRST: png()[:-30]}, "0000_01.png .* is not a readable PNG image"),
        (BAD | {FIRST: b"\0" * (1 << 17)}, "0000_01.png .* is too large"),
    ],
)
def test_archives_of_other_content_are_refused_and_nothing_is_written(tmp_path, source, contents, words):
    write_zip(source, "images_background", contents)
    with pytest.raises(UsageError, match=words):
        build(tmp_path, source)
    assert files(tmp_path) == []


def test_broken_and_missing_archives_are_refused(tmp_path, source):
    path = source / "images_background.zip"
    content = bytearray(path.read_bytes())
    content[2000:2200] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"images_background.zip.*: download"):
        build(tmp_path, source)
    path.write_bytes(content[:3000])
    with pytest.raises(UsageError, match="is not a readable zip file"):
        build(tmp_path, source)
    path.unlink()
    with pytest.raises(UsageError, match=r"holds neither images_background.zip nor a folder"):
        build(tmp_path, source)
    with pytest.raises(UsageError, match="is not a folder"):
        build(tmp_path, source / "nothing")


@pytest.mark.parametrize("name", ["train.npy", "val.npy", "test.npy", "classes.json"])
def test_existing_outputs_are_not_overwritten(tmp_path, source, name):
    folder = tmp_path / "data" / "omniglot"
    folder.mkdir(parents=True)
    (folder / name).write_text("mine")
    with pytest.raises(UsageError, match=f"{name} already exists: move the folder .* away, or give another --data_dir"):
        build(tmp_path, source)
    assert files(tmp_path) == [name] and (folder / name).read_text() == "mine"


def test_unwritable_data_dir_is_refused(tmp_path, source):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(UsageError, match="cannot write .*: make room for it or give another --data_dir"):
        build(tmp_path, source)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"train.txt": ALL[:2]}, "gives no test classes"),
        ({"test.txt": ALL[:2]}, "gives no train classes"),
        ({"train.txt": ALL[:2], "trainval.txt": ALL[2:3], "test.txt": ALL[3:]}, "train classes a second time"),
        ({"train.txt": ALL[:3], "test.txt": ALL[2:]}, "Latin/character01/rot000, which is in .*train.txt already"),
        ({"train.txt": [ALL[0], ALL[0]], "test.txt": ALL[2:]}, "is in .*train.txt already"),
        (
            {"train.txt": ["Greek/character99"], "test.txt": ALL[2:]},
            "Greek/character99/rot000, which Omniglot does not",
        ),
        ({"mine.txt": ALL[:2]}, "name it train.txt, trainval.txt, val.txt or test.txt"),
        ({"train.txt": [], "test.txt": ALL}, "is empty"),
        (
            {"train.txt": ["Greek character01"], "test.txt": ALL},
            "line 1: 'Greek character01/rot000' is not of the form",
        ),
    ],
)
def test_unfit_split_files_are_refused(tmp_path, source, texts, words):
    paths = [write_split(source, name, characters) for name, characters in texts.items()]
    with pytest.raises(UsageError, match=words):
        build(tmp_path, source, paths)
    assert files(tmp_path) == []


def test_unreadable_split_files_and_a_second_val_are_refused(tmp_path, source):
    with pytest.raises(UsageError, match=r"train.txt cannot be read \(No such file or directory\)"):
        build(tmp_path, source, [str(source / "train.txt")])
    (source / "train.txt").write_bytes(b"\xff\xfd\x00")
    with pytest.raises(UsageError, match=r"train.txt is not a text in UTF-8"):
        build(tmp_path, source, [str(source / "train.txt")])
    paths = [write_split(source, f"{name}.txt", [ALL[i]]) for i, name in enumerate(("train", "val", "test"))]
    with pytest.raises(UsageError, match="--val and a --split_file for val"):
        build(tmp_path, source, paths, val=True)


def test_download_checks_what_arrives(tmp_path):
    remote = tmp_path / "remote.zip"
    remote.write_bytes(b"drawings")
    path = tmp_path / "raw" / "images_background.zip"
    with pytest.raises(UsageError, match="arrived with md5 .* instead of 00"):
        download.fetch(remote.as_uri(), path, "00")
    assert [file.name for file in path.parent.iterdir()] == ["images_background.zip.bad"]
    md5 = download.md5_of(remote)
    assert download.fetch(remote.as_uri(), path, md5).read_bytes() == b"drawings"
    remote.unlink()
    download.fetch(remote.as_uri(), path, md5)  # it is there: nothing is asked for
    with pytest.raises(UsageError, match="is not the official file"):
        download.fetch(remote.as_uri(), path, "00")
    with pytest.raises(UsageError, match="cannot be downloaded .*: try again"):
        download.fetch(remote.as_uri(), tmp_path / "raw" / "b.zip", md5)
    assert not list(path.parent.glob("*.part"))


def unpack(folder, contents):
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def without_part(contents):
    return {name.split("/", 1)[1]: content for name, content in contents.items()}


LAYOUTS = {  # what is on disk, below the folder that is given
    "zips": lambda root: [write_zip(root, part, members(part)) for part in CHARACTERS],
    "unpacked": lambda root: [unpack(root, members(part)) for part in CHARACTERS],
    "root of a clone": lambda root: [unpack(root / "python", members(part)) for part in CHARACTERS],
    "torchvision's": lambda root: [unpack(root / "omniglot-py", members(part)) for part in CHARACTERS],
    "a zip's folder in a folder": lambda root: [unpack(root / part, members(part)) for part in CHARACTERS],
    "all alphabets": lambda root: [unpack(root, without_part(members(part))) for part in CHARACTERS],
    "alphabets, one level down": lambda root: [unpack(root / "all", without_part(members(p))) for p in CHARACTERS],
    "with what systems leave": lambda root: [
        unpack(root, members(part) | {f"{part}/.DS_Store": b"x", f"__MACOSX/{part}/Greek/character01/._1.png": b"x"})
        for part in CHARACTERS
    ],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layouts_of_downloads(layout, tmp_path, source, monkeypatch, capsys):
    monkeypatch.setattr(omniglot_images, "ALPHABETS", 3)
    monkeypatch.setattr(omniglot_images, "ALL", omniglot_images.Part("all", len(ALL), ""))
    expected = omniglot_images.read_characters(source)
    root = tmp_path / "root"
    root.mkdir()
    LAYOUTS[layout](root)
    for place in (root, *[inside for inside in root.iterdir() if inside.is_dir() and inside.name in CHARACTERS]):
        found = omniglot_images.read_characters(place)  # the part's own folder leads to the one above
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
        assert (": using " in capsys.readouterr().out) == (
            place != root
            or not (root / "images_background").exists()
            and not (root / "images_background.zip").exists()
            and layout != "all alphabets"
        )


def test_drawings_of_16_bits_are_as_those_of_one(source):
    drawn = Image.open(io.BytesIO(png()))
    deep = Image.fromarray((np.asarray(drawn.convert("L")).astype(np.uint16)) * 257)
    buffer = io.BytesIO()
    deep.save(buffer, "PNG")
    for preparation in ("grey", "original"):
        small = omniglot_images.shrink(buffer.getvalue(), "x.png", preparation)
        assert np.array_equal(small, omniglot_images.shrink(png(), "x.png", preparation))
