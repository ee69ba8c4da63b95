"""Building of miniImageNet from each form in which it travels, made up small."""

import codecs
import dataclasses
import errno
import hashlib
import json
import os
import pickle
import time

import numpy as np
import pytest
from PIL import Image

from tests.helpers.pickles import Call
from tf_metadrop.data import load_split, mimgnet, mimgnet_classes, mimgnet_pickle, outputs, spec
from tf_metadrop.errors import UsageError

COUNTS = {"train": 3, "val": 1, "test": 2}
NAMES = {"train": ["n03", "n01", "n02"], "val": ["n04"], "test": ["n06", "n05"]}
N = 4
RNG = np.random.RandomState(0)
IMAGES = {split: RNG.randint(0, 256, (count * N, 84, 84, 3)).astype(np.uint8) for split, count in COUNTS.items()}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    original = spec.DATASETS["mimgnet"]
    monkeypatch.setitem(spec.DATASETS, "mimgnet", dataclasses.replace(original, classes=COUNTS, instances=N))


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def build(tmp_path, source):
    return mimgnet.build(tmp_path / "data" / "mimgnet", str(source))


def load(tmp_path, split):
    return load_split("mimgnet", str(tmp_path / "data"), split)


def content(split):
    # The images of the classes are interleaved, so that the indices matter.
    indices = {name: list(range(k, COUNTS[split] * N, COUNTS[split])) for k, name in enumerate(NAMES[split])}
    return {"image_data": IMAGES[split], "class_dict": indices}


def expected(split):
    indices = content(split)["class_dict"]
    return np.stack([IMAGES[split][indices[name]] for name in sorted(indices)])


def write_pickles(source, protocol=2, **changed):
    for split in COUNTS:
        word = "validation" if split == "val" else split
        with open(source / f"mini-imagenet-cache-{word}.pkl", "wb") as file:
            pickle.dump(changed.get(split, content(split)), file, protocol)


def test_what_is_in_place_needs_no_build(tmp_path, source):
    write_pickles(source, 4)
    folder = tmp_path / "data" / "mimgnet"
    build(tmp_path, source)
    with pytest.raises(UsageError, match="is the folder of the output, whose files are used as they are"):
        build(tmp_path, folder)
    assert (folder / "train.npy").exists()


def test_the_stage_of_a_killed_build_is_removed_and_a_living_one_s_is_not(tmp_path, source):
    write_pickles(source, 4)
    folder = tmp_path / "data" / "mimgnet"
    for name, age in ((".building-1", 7200), (".building-2", 0)):
        (folder / name).mkdir(parents=True)
        for path in (folder / name / "train.npy", folder / name):
            if path.suffix:
                path.write_bytes(b"half")
            os.utime(path, (time.time() - age,) * 2)
    build(tmp_path, source)
    assert sorted(path.name for path in folder.iterdir() if path.name[0] == ".") == [".building-2"]


def test_a_source_that_cannot_be_read_is_not_called_a_full_disk(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"x/n01.jpg cannot be read \(File name too long\): give another --source"):
        with outputs.staged(tmp_path / "data"):
            raise OSError(errno.ENAMETOOLONG, "File name too long", "x/n01.jpg")
    with pytest.raises(UsageError, match=r"cannot write \S+data \(No space left\): make room for it"):
        with outputs.staged(tmp_path / "data"):
            raise OSError(errno.ENOSPC, "No space left", str(tmp_path / "data" / ".building-3" / "train.npy"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write .*file/deep/data"):
        with outputs.staged(tmp_path / "file" / "deep" / "data"):
            pass


@pytest.mark.parametrize("protocol", range(6))
def test_pickles(tmp_path, source, protocol):
    write_pickles(source, protocol)
    lines = build(tmp_path, source)
    assert lines[0].endswith("train.npy: [3, 4, 84, 84, 3]") and len(lines) == 3
    for split in COUNTS:
        assert np.array_equal(load(tmp_path, split), expected(split))
    names = json.loads((tmp_path / "data/mimgnet/classes.json").read_text())
    assert names == {split: sorted(NAMES[split]) for split in COUNTS}


def python2_pickle():
    """What Python 2 writes for {"image_data": array, "class_dict": {...}}: byte strings and old module names."""
    raw = IMAGES["val"].tobytes()

    def text(value):
        return b"U" + bytes([len(value)]) + value

    dtype = (
        b"cnumpy\ndtype\n("
        + text(b"u1")
        + b"K\x00K\x01tR(K\x03"
        + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    shape = b"(K\x04KTKTK\x03t"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b") + b"tR(K\x01" + shape + dtype
    )
    array += b"\x89T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    classes = b"}" + text(b"n04") + b"c__builtin__\nxrange\n(K\x00K\x04tRs"
    return b"\x80\x02}" + text(b"image_data") + array + b"s" + text(b"class_dict") + classes + b"s."


def test_python_2_pickle(tmp_path):
    (tmp_path / "a.pkl").write_bytes(python2_pickle())
    images, classes = mimgnet_pickle.load(tmp_path / "a.pkl")
    assert np.array_equal(images, IMAGES["val"]) and {k: v.tolist() for k, v in classes.items()} == {
        "n04": [0, 1, 2, 3]
    }


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("call", [(open, "OWNED", "w"), (eval, "open('OWNED', 'w')"), (np.save, "OWNED", 1)])
def test_pickles_that_run_code_are_refused_before_they_do(tmp_path, source, monkeypatch, call, protocol):
    monkeypatch.chdir(tmp_path)
    write_pickles(source, protocol, train={"image_data": Call(*call), "class_dict": {}})
    with pytest.raises(UsageError, match="cache-train.pkl is not loaded .it asks for .*which no array needs"):
        build(tmp_path, source)
    assert not list(tmp_path.rglob("OWNED*")) and not (tmp_path / "data" / "mimgnet").exists()


@pytest.mark.parametrize(
    ("train", "words"),
    [
        ([1, 2], "not a dict of image_data and class_dict"),
        ({"image_data": [1], "class_dict": {}}, "image_data list, not uint8"),
        (content("train") | {"image_data": IMAGES["train"].astype(np.float32)}, "image_data float32"),
        (content("train") | {"class_dict": {}}, "no class names"),
        (content("train") | {"class_dict": {"n01": [0, 99]}}, "no valid image indices for class n01"),
        (content("train") | {"class_dict": {"n01": []}}, "no valid image indices for class n01"),
        (content("train") | {"class_dict": {"n01": [0, 0]}}, "no valid image indices for class n01"),
        (content("train") | {"class_dict": {"n01": [0, 1], "n02": [2, 3]}}, "2 classes instead of 3"),
        (content("train") | {"class_dict": {"n01": [0], "n02": [1, 2], "n03": [3]}}, "classes with 1 to 2 images"),
        (
            content("train") | {"class_dict": {"n01": [0], "n02": [1], "n04": [3]}},
            "has class n04, which is in train too",
        ),
        ({"image_data": Call(codecs.encode, "a", "rot13"), "class_dict": {}}, "asks for"),
    ],
)
def test_pickles_of_other_content_are_refused(tmp_path, source, train, words):
    write_pickles(source, train=train)
    with pytest.raises(UsageError, match=words):
        build(tmp_path, source)
    assert not (tmp_path / "data" / "mimgnet").exists()


def test_truncated_pickle_is_refused(tmp_path, source):
    write_pickles(source)
    path = source / "mini-imagenet-cache-train.pkl"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UsageError, match="cache-train.pkl is not loaded"):
        build(tmp_path, source)


@pytest.mark.parametrize("scale", ["uint8", "unit", "unit noisy", "255"])
def test_authors_arrays(tmp_path, source, scale):
    for split in ("train", "test"):
        flat = IMAGES[split].reshape(COUNTS[split], N, -1)
        noise = RNG.uniform(-0.3, 0.3, flat.shape) if "noisy" in scale else 0
        floats = np.clip((flat + noise) / (255 if "unit" in scale else 1), 0, None).astype(np.float32)
        np.save(
            source / f"{split}.npy", flat if scale == "uint8" else np.minimum(floats, 1 if "unit" in scale else 255)
        )
    lines = build(tmp_path, source)
    assert lines[2] == "The source has no val split: val.npy is not written."
    for split in ("train", "test"):
        assert np.array_equal(load(tmp_path, split).reshape(IMAGES[split].shape), IMAGES[split])
    assert sorted(path.name for path in (tmp_path / "data/mimgnet").iterdir()) == ["test.npy", "train.npy"]


def test_arrays_of_other_counts_are_refused_or_noted(tmp_path, source):
    np.save(source / "train.npy", IMAGES["train"].reshape(6, 2, -1))
    np.save(source / "test.npy", IMAGES["test"].reshape(2, 4, -1)[:, :3])
    with pytest.raises(UsageError, match="train.npy has 6 classes instead of 3"):
        build(tmp_path, source)
    np.save(source / "train.npy", IMAGES["train"].reshape(3, 4, -1))
    assert "the usual miniImageNet has 4 images per class" in build(tmp_path, source)[1]


def write_images(source, splits=("train", "val", "test"), size=(100, 90)):
    (source / "images").mkdir(exist_ok=True)
    for split in splits:
        rows = ["filename,label"]
        for k, name in enumerate(NAMES[split]):
            for i in range(N):
                shade = (20 * k + 10, 30 * i, 7)
                Image.new("RGB", size, shade).save(source / "images" / f"{name}{i}.png")
                rows.append(f"{name}{i}.png,{name}")
        (source / f"{split}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8-sig")  # as editors on Windows do


def test_images_and_lists(tmp_path, source):
    write_images(source)
    build(tmp_path, source)
    train = load(tmp_path, "train")
    assert train.shape == (3, N, 84, 84, 3)
    # Sorted by name: n01 was the second in the list.
    assert train[0, 2, 40, 40].tolist() == [30, 60, 7]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("../secret.png,n03", "not a plain file name"),
        ("gone.png,n03", "gone.png is missing"),
        ("n030.png,n03", "a second time"),
        ("n030.png", "no filename and label"),
    ],
)
def test_unfit_lists_are_refused(tmp_path, source, line, words):
    write_images(source)
    with open(source / "train.csv", "a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(UsageError, match=words):
        build(tmp_path, source)


def test_unreadable_images_and_lists_are_refused(tmp_path, source):
    write_images(source)
    (source / "images" / "n032.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match="n032.png is not a readable image"):
        build(tmp_path, source)
    (source / "train.csv").write_text("filename,label\n")
    with pytest.raises(UsageError, match="train.csv lists no images"):
        build(tmp_path, source)
    (source / "train.csv").write_bytes(b"\xff\xfd")
    with pytest.raises(UsageError, match="train.csv is not a text in UTF-8"):
        build(tmp_path, source)
    assert not (tmp_path / "data" / "mimgnet").exists()


def test_no_source_says_what_to_get(tmp_path, source):
    with pytest.raises(UsageError, match="--source is missing: .* get .*mini-imagenet-cache"):
        mimgnet.build(tmp_path / "mimgnet", None)
    with pytest.raises(UsageError, match="holds neither train.npy and test.npy, nor"):
        build(tmp_path, source)
    with pytest.raises(UsageError, match="is not a folder"):
        build(tmp_path, source / "nothing")


def test_existing_outputs_are_not_overwritten(tmp_path, source):
    write_pickles(source)
    build(tmp_path, source)
    with pytest.raises(UsageError, match="train.npy already exists"):
        build(tmp_path, source)


def write_folders(root, places):
    """PNG files, which lose nothing, of each class in the folder that `places` gives for its split."""
    for split, place in places.items():
        for name, group in zip(sorted(NAMES[split]), expected(split), strict=True):
            folder = root / place / name
            folder.mkdir(parents=True)
            for number, image in enumerate(group):
                Image.fromarray(image).save(folder / f"{number:03d}.png")
            (folder / "Thumbs.db").write_bytes(b"x")
            (folder / ".DS_Store").write_bytes(b"x")


BY_SPLIT = {"train": "train", "val": "val", "test": "test"}


@pytest.mark.parametrize(
    ("places", "given"),
    [
        (BY_SPLIT, "."),
        (BY_SPLIT | {"val": "validation"}, "."),
        ({split: f"mini/{split}" for split in BY_SPLIT}, "."),  # a level down
        (BY_SPLIT, "train"),  # a level up
        (dict.fromkeys(BY_SPLIT, "."), "."),  # one folder of all classes
        (dict.fromkeys(BY_SPLIT, "images"), "."),
    ],
)
def test_a_folder_for_each_class(places, given, tmp_path, source, monkeypatch):
    monkeypatch.setattr("tf_metadrop.data.mimgnet_folders.CLASSES", {split: sorted(of) for split, of in NAMES.items()})
    write_folders(source, places)
    build(tmp_path, source / given)
    for split in COUNTS:
        assert np.array_equal(load(tmp_path, split), expected(split))
    names = json.loads((tmp_path / "data/mimgnet/classes.json").read_text())
    assert names == {split: sorted(NAMES[split]) for split in COUNTS}


def test_the_split_of_ravi_and_larochelle():
    every = [name for of in mimgnet_classes.CLASSES.values() for name in of]
    assert [len(of) for of in mimgnet_classes.CLASSES.values()] == [64, 16, 20] and len(set(every)) == 100
    assert all(name[0] == "n" and name[1:].isdecimal() and len(name) == 9 for name in every)
    digest = hashlib.blake2b(" ".join(every).encode(), digest_size=8).hexdigest()
    assert digest == "cd57a48a0dd74342"  # of the three lists, each sorted
