"""Loading of .npy splits: shapes, scales, held-out classes and everything that can be wrong with a file."""

import json

import numpy as np
import pytest

from tf_metadrop.data import DATASETS, load_split, sources
from tf_metadrop.data.holdout import hold_out
from tf_metadrop.errors import UsageError

RNG = np.random.RandomState(0)
BYTES = RNG.randint(0, 256, (3, 2, 28, 28, 1)).astype(np.uint8)


def save(tmp_path, array, split="train", dataset="omniglot"):
    folder = tmp_path / dataset
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{split}.npy", array)
    return folder


def load(tmp_path, split="train", dataset="omniglot", **more):
    return load_split(dataset, str(tmp_path), split, **more)


@pytest.mark.parametrize("shape", [(3, 2, 784), (3, 2, 28, 28), (3, 2, 28, 28, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "unit float32", "unit float64", "float32", "float64", ">f4"])
def test_eight_bit_images_load_as_uint8_whatever_their_form(tmp_path, shape, dtype):
    stored = BYTES / 255 if "unit" in dtype else BYTES
    save(tmp_path, stored.astype(dtype.split()[-1]).reshape(shape))
    images = load(tmp_path)
    assert images.dtype == np.uint8 and images.flags.c_contiguous
    assert np.array_equal(images, BYTES)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float32"])
def test_zero_one_ink_is_scaled_up(tmp_path, dtype):
    ink = BYTES > 127
    save(tmp_path, ink.astype(dtype))
    assert np.array_equal(load(tmp_path), ink * np.uint8(255))


def test_other_floats_stay_floats(tmp_path):
    unit = RNG.uniform(size=(3, 2, 784))
    unit[0, 0, 0] = 1
    for stored in (unit, unit * 255):
        save(tmp_path, stored.astype(np.float32))
        images = load(tmp_path)
        assert images.dtype == np.float32 and images.max() <= 1
        np.testing.assert_allclose(images.reshape(3, 2, 784), unit, atol=1e-6)


def test_fortran_order_and_colour(tmp_path):
    colour = RNG.randint(0, 256, (2, 3, 84, 84, 3)).astype(np.uint8)
    save(tmp_path, np.asfortranarray(colour.reshape(2, 3, -1)), dataset="mimgnet")
    images = load(tmp_path, dataset="mimgnet")
    assert images.flags.c_contiguous and np.array_equal(images, colour)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones((3, 2, 783)), r"shape \[3, 2, 783\], not \[classes, instances, 784\]"),
        (np.ones((3, 784)), r"shape \[3, 784\]"),
        (np.ones((0, 2, 784)), "cannot be read|at least one image"),
        (np.full((1, 1, 784), "a"), "has dtype <U1"),
        (np.ones((1, 1, 784), complex), "has dtype complex128"),
        (np.full((1, 1, 784), None), "pickled Python objects"),
        (np.full((1, 1, 784), np.nan), "non-finite pixels"),
        (np.full((1, 1, 784), np.inf), "non-finite pixels"),
        (np.full((1, 1, 784), -0.5), "pixels from -0.5"),
        (np.full((1, 1, 784), 256), "to 256"),
        (np.full((1, 1, 784), 1.5), "floats up to 1.5"),
        (np.zeros((1, 1, 784)), "only blank images"),
    ],
)
def test_unusable_arrays_are_refused_by_name(tmp_path, array, words):
    folder = save(tmp_path, array)
    with pytest.raises(UsageError, match=words) as caught:
        load(tmp_path)
    assert str(folder / "train.npy") in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY\x01\x00", "truncated", "npz"])
def test_broken_files_are_refused_by_name(tmp_path, content):
    path = save(tmp_path, BYTES) / "train.npy"
    if content == "npz":
        with open(path, "wb") as file:
            np.savez(file, a=BYTES)
    else:
        path.write_bytes(path.read_bytes()[:-10] if content == "truncated" else content)
    again = "build it again with `python get_data.py --dataset omniglot --split vinyals`"
    with pytest.raises(UsageError, match=f"train.npy .*{again}"):
        load(tmp_path)


def test_missing_file_names_the_command(tmp_path):
    with pytest.raises(UsageError, match=f"get_data.py --dataset omniglot --split vinyals --data_dir {tmp_path}"):
        load(tmp_path)
    with pytest.raises(UsageError, match="get_data.py --dataset mimgnet --source DIR"):
        load(tmp_path, dataset="mimgnet")


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(
        UsageError,
        match="--dataset=cifar is not known: choose one of omniglot, mimgnet, strokes, or make it with `metadrop data",
    ):
        load(tmp_path, dataset="cifar")
    with pytest.raises(UsageError, match="split dev is not known"):
        load(tmp_path, "dev")


def test_strokes_needs_no_files(tmp_path):
    assert load(tmp_path, "val", dataset="strokes", hold_out_val=True).shape[0] == DATASETS["strokes"].classes["val"]


def numbered(n_classes):
    images = np.zeros((n_classes, 1, 784), np.uint8)
    images[:, 0, 0] = np.arange(n_classes)
    images[:, 0, 1] = 255
    return images


def labels(images):
    return images[:, 0, 0, 0, 0].tolist()


def test_val_file_is_the_val_split(tmp_path):
    save(tmp_path, numbered(10))
    save(tmp_path, numbered(3), "val")
    for hold in (False, True):
        assert len(load(tmp_path, "val", hold_out_val=hold)) == 3
        assert len(load(tmp_path, "train", hold_out_val=hold)) == 10


def test_val_without_file_is_held_out_only_if_asked(tmp_path):
    save(tmp_path, numbered(100))
    with pytest.raises(UsageError, match=r"val.npy is missing.*get_data.py --dataset omniglot --split vinyals --val"):
        load(tmp_path, "val")
    assert labels(load(tmp_path, "train")) == list(range(100))
    val, train = (labels(load(tmp_path, split, hold_out_val=True)) for split in ("val", "train"))
    assert len(val) == round(100 * 172 / 1200) and sorted(val + train) == list(range(100))
    np.random.seed(3)
    assert labels(load(tmp_path, "val", hold_out_val=True)) == val


def test_rotations_are_held_out_together(tmp_path, capsys):
    names = [f"Greek/character{index:02d}/rot{turn}" for turn in ("000", "090", "180", "270") for index in range(14)]
    folder = save(tmp_path, numbered(56))
    load(tmp_path, "val", hold_out_val=True)
    assert "validation classes may be rotations of training classes" in capsys.readouterr().err
    (folder / "classes.json").write_text(json.dumps({"train": names}))
    val = labels(load(tmp_path, "val", hold_out_val=True))
    assert len(val) == 8 and sorted(index % 14 for index in val) == sorted([index % 14 for index in val[:2]] * 4)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", ["{", "[]", '{"train": 3}', '{"train": [1]}', '{"test": []}', '{"train": ["a"]}'])
def test_unfit_classes_json_is_refused(tmp_path, text):
    (save(tmp_path, numbered(5)) / "classes.json").write_text(text)
    with pytest.raises(UsageError, match="classes.json"):
        load(tmp_path, "val", hold_out_val=True)


def test_hold_out_takes_172_of_1200_and_keeps_both_sides_filled():
    train, val = hold_out([f"A/character{index // 4}/rot{index % 4 * 90:03d}" for index in range(4800)])
    assert (len(train), len(val)) == (4112, 688)
    assert [len(side) for side in hold_out(["a", "b"])] == [1, 1]
    with pytest.raises(UsageError, match="too few"):
        hold_out(["A/character01/rot000", "A/character01/rot090"])


def test_large_files_that_can_be_used_as_they_are_stay_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAPPED", BYTES.nbytes)
    save(tmp_path, BYTES.reshape(3, 2, 784))
    images = load(tmp_path)
    assert isinstance(images, np.memmap) and not images.flags.writeable and np.array_equal(images, BYTES)
    for other in (BYTES > 127, BYTES / 255, np.asfortranarray(BYTES), BYTES[:2]):  # converted, in order, or smaller
        save(tmp_path, other)
        assert not isinstance(load(tmp_path), np.memmap)
    save(tmp_path, BYTES)
    assert not isinstance(load(tmp_path, hold_out_val=True), np.memmap)
