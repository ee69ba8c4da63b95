"""Text files as editors on other systems leave them, wherever one is read."""

import numpy as np
import pytest
from absl import flags
from PIL import Image

from tests.helpers.savedirs import LOG
from tf_metadrop import UsageError
from tf_metadrop.config import absl_flags
from tf_metadrop.data import holdout, mimgnet_csv, omniglot_splits
from tf_metadrop.experiments import flag_files, sweep_definition
from tf_metadrop.figures import curves
from tf_metadrop.runs import tf1_checkpoint
from tf_metadrop.util import text

FORMS = {
    "unix": lambda s: s.encode(),
    "windows": lambda s: s.replace("\n", "\r\n").encode(),
    "notepad": lambda s: s.replace("\n", "\r\n").encode("utf-8-sig"),
    "notepad_unicode": lambda s: s.replace("\n", "\r\n").encode("utf-16"),
    "big_endian": lambda s: b"\xfe\xff" + s.encode("utf-16-be"),
    "old_mac": lambda s: s.replace("\n", "\r").encode(),
}


def flags_of(path):
    values = flags.FlagValues()
    absl_flags.define_flags(values)
    values(flag_files.expanded(["main.py", f"--flagfile={path}"]))
    return values.way, values.savedir


def split_of(path):
    test = path.with_name("test.txt")
    test.write_text("Latin/character01/rot000\n")
    return omniglot_splits.read_files([str(path), str(test)])["train"]


READERS = {
    "a.flags": ("# Läufe\n\n// more\n--way=7\n--savedir=Läufe\n", flags_of, (7, "Läufe")),
    "sweep.yaml": (
        "method: grid\nparameters:\n  inner_lr:\n    values: [0.1, 0.2]  # für\n",
        lambda path: list(sweep_definition.load(path).parameters),
        ["inner_lr"],
    ),
    "train.csv": ("filename,label\nä.jpg,n01\nb.jpg,n01\n", mimgnet_csv.read_list, {"n01": ["ä.jpg", "b.jpg"]}),
    "train.txt": (
        "Greek/character01/rot000\nGreek/character01/rot090\n",
        split_of,
        ["Greek/character01/rot000", "Greek/character01/rot090"],
    ),
    "classes.json": ('{"train": ["é", "b"]}\n', lambda path: holdout.train_names(path.parent, 2), ["é", "b"]),
    "meta_train.log": (LOG, lambda path: tf1_checkpoint.settings(path.parent), {"way": 5, "metabatch": 4}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", READERS)
def test_text_is_read_from_whatever_editor(name, form, tmp_path):
    content, read, expected = READERS[name]
    (tmp_path / name).write_bytes(FORMS[form](content))
    assert read(tmp_path / name) == expected
    if name == "meta_train.log":
        assert next(iter(curves.load(tmp_path).values()))["iter"] == [0, 50, 100]


def test_a_list_with_semicolons(tmp_path):
    (tmp_path / "train.csv").write_text("filename;label\na.jpg;n01\n")
    assert mimgnet_csv.read_list(tmp_path / "train.csv") == {"n01": ["a.jpg"]}


@pytest.mark.parametrize(
    "content", ["Läufe".encode("latin-1"), b"a\0b", "x".encode("utf-16")[:-1], "ä".encode("utf-16-le")]
)
def test_what_is_no_such_text_is_said_by_name(content, tmp_path):
    (tmp_path / "a.flags").write_bytes(content)
    with pytest.raises(UsageError, match=r"^--flagfile .*a.flags is not a text in UTF-8"):
        flags_of(tmp_path / "a.flags")
    assert isinstance(text.read(tmp_path / "a.flags", lenient=True), str)


def test_flag_files_within_flag_files(tmp_path):
    inner, outer = tmp_path / "inner.flags", tmp_path / "outer.flags"
    inner.write_text("--way=3\n")
    outer.write_text(f"--flagfile={inner}\n--shot=2\n")
    found = flag_files.expanded(["main.py", "--flagfile", str(outer), "--query=4", "--", "--flagfile=x"])
    assert found == ["main.py", "--way=3", "--shot=2", "--query=4", "--", "--flagfile=x"]
    inner.write_text(f"--flagfile={outer}\n")
    for arguments, words in [
        ([f"--flagfile={outer}"], "includes itself"),
        (["--flagfile"], "names no file"),
        (["--flagfile="], "names no file"),
        (["--flagfile=nowhere"], r"nowhere cannot be read \(No such file"),
        ([f"--flagfile={tmp_path}"], r"cannot be read \(Is a directory"),
    ]:
        with pytest.raises(UsageError, match=words):
            flag_files.expanded(arguments)


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_images_of_16_bits_are_not_cut_off(mode, tmp_path):
    ramp = (np.arange(84 * 84) * 9 % 65536).reshape(84, 84)
    image = Image.fromarray(ramp.astype(np.uint16 if mode == "I;16" else np.int32))
    assert image.mode == mode
    image.save(tmp_path / "x.png" if mode == "I;16" else tmp_path / "x.tiff")
    found = mimgnet_csv.read_image(next(tmp_path.glob("x.*")))
    assert np.abs(found[..., 0].astype(float) - ramp / 257).max() < 1.1
    assert np.mean(found == 255) < 0.01  # not white
