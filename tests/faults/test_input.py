"""Generated bad input: flags, datasets, checkpoints, zips, pickles. One sentence, exit code 2, nothing changed on disk.

The cases are the same in every run (derandomize): a failure is reported with the input that caused it, made small.
"""

import dataclasses
import io
import math
import os
import pathlib
import pickle
import re
import string
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.helpers.pickles import Call
from tests.helpers.runs import assert_equal_arrays, save_run, snapshot
from tf_metadrop import Config, UsageError
from tf_metadrop.cli import get_data, main, plot
from tf_metadrop.data import DATASETS, load_split
from tf_metadrop.data.mimgnet_pickle import load as load_mimgnet
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.runs import checkpoint, tf1_checkpoint

SENTENCE = r"[^\n]+[.]"
OMNIGLOT = DATASETS["omniglot"]


def cases(number):
    unhealthy = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]
    return settings(max_examples=number, derandomize=True, deadline=None, suppress_health_check=unhealthy)


def refuses(program, capsys, folder, *arguments):
    """Calls a program, which must refuse in one sentence and leave the folder as it is."""
    before = snapshot(folder)
    capsys.readouterr()
    assert program(["program.py", *map(str, arguments)]) == 2, arguments
    err = capsys.readouterr().err
    assert re.fullmatch(rf"program\.py: {SENTENCE}\n", err), (arguments, err)
    assert snapshot(folder) == before


def usable_or_a_sentence(make):
    """What `make` returns; None if it raises UsageError with one sentence. Anything else is a failure."""
    try:
        return make()
    except UsageError as error:
        assert re.fullmatch(SENTENCE, str(error)), str(error)
        return None


@pytest.fixture
def small_omniglot(tmp_path, monkeypatch):
    """A folder with an omniglot of 4 classes of 5 drawings."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "omniglot"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        np.save(folder / f"{split}.npy", np.full((4, 5, 784), 200, np.uint8))
    return tmp_path


WRONG = {  # values that can never be, of the right type
    **dict.fromkeys(("shot", "query", "metabatch", "n_steps", "save_freq", "log_freq"), st.integers(-9, 0)),
    **dict.fromkeys(("eval_freq", "n_eval_batches", "n_test_iters", "n_test_mc_samp"), st.integers(-9, 0)),
    **dict.fromkeys(("devices", "adv_steps", "attack_steps"), st.integers(-9, 0)),
    "attack_restarts": st.integers(-9, -1),
    **dict.fromkeys(("inner_lr", "meta_lr", "mixup_alpha"), st.one_of(st.floats(max_value=0), st.just(math.nan))),
    **dict.fromkeys(("vib_beta", "info_beta", "adv_eps"), st.floats(max_value=-1e-30)),
    "way": st.integers(-9, 1),
    "n_train_iters": st.integers(-9, -1),
    "seed": st.one_of(st.integers(-9, -1), st.integers(2**32, 2**40)),
}
BEYOND = {"way": st.integers(5, 2**31), "shot": st.integers(5, 2**20), "query": st.integers(5, 2**20)}
FITTING = {
    "way": st.integers(2, 4),
    "metabatch": st.integers(1, 4),
    "n_steps": st.integers(1, 9),
    "maml": st.booleans(),
    "second_order": st.sampled_from(["exact", "tf1", "first"]),
    "episodes": st.sampled_from(["independent", "shared_classes"]),
    "inner": st.sampled_from(["sgd", "metasgd"]),
    "regularizer": st.sampled_from(["none", "vib", "manifold_mixup", "info_dropout"]),
    "inner_lr": st.floats(1e-6, 10),
    "precision": st.sampled_from(["float32", "float64"]),
}


@given(st.data())
@cases(500)
def test_flags_that_cannot_be(small_omniglot, capsys, data):
    name = data.draw(st.sampled_from(sorted({*WRONG, *BEYOND})))
    kinds = [kind for kind in (WRONG, BEYOND) if name in kind]
    flags = data.draw(st.fixed_dictionaries({}, optional=FITTING))
    flags = {"dataset": "omniglot", "shot": 1, "query": 1, "way": 2, **flags}
    flags[name] = data.draw(data.draw(st.sampled_from(kinds))[name])
    refuses(main.main, capsys, small_omniglot, *[f"--{flag}={value}" for flag, value in flags.items()])


@given(st.sampled_from([field.name for field in dataclasses.fields(Config)]), st.text(string.printable, max_size=12))
@cases(300)
def test_texts_as_flags(small_omniglot, capsys, name, text):
    """Any text is a value or refused; the task does not fit the data, so that nothing is ever trained."""
    arguments = ["--dataset=omniglot", "--way=5", "--savedir=run", f"--{name}={text}"]
    if name in ("way", "dataset", "savedir", "mode", "data_dir", "replay"):
        arguments.append("--query=-1")
    refuses(main.main, capsys, small_omniglot, *arguments)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


SHAPES = st.one_of(
    st.lists(st.integers(0, 6), max_size=5).map(tuple),
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from([784, 783, 1, 21168])),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from([28, 27]), st.just(28), st.sampled_from([1, 3])),
)
DTYPES = st.sampled_from(["u1", "i1", "i4", "f2", "f4", "f8", "c8", "O", "S3", "?", "M8[s]"])
FILLS = st.sampled_from([0, 1, 2, 255, 256, -1, 0.5, 1.5, float("nan"), float("inf"), -float("inf")])


@given(SHAPES, DTYPES, FILLS, st.floats(0, 1), st.booleans(), st.booleans())
@cases(500)
def test_datasets_of_any_kind(small_omniglot, shape, dtype, fill, length, cut, everywhere):
    array = np.ones(shape, "f8")
    with np.errstate(invalid="ignore"):
        array.flat[: array.size if everywhere else 1] = fill
        array = array.astype(dtype)
    content = npy(array)
    path = small_omniglot / "data" / "omniglot" / "train.npy"
    path.write_bytes(content[: int(len(content) * length)] if cut else content)
    before = snapshot(small_omniglot)
    images = usable_or_a_sentence(lambda: load_split("omniglot", "data", "train"))
    assert snapshot(small_omniglot) == before
    if images is not None:
        assert images.shape[2:] == OMNIGLOT.image_shape and images.size
        assert images.dtype == np.uint8 or (images.dtype == np.float32 and 0 <= images.min() <= images.max() <= 1)


@pytest.fixture(scope="module")
def sound_run(tmp_path_factory):
    """A savedir, and the arrays of its state."""
    folder = tmp_path_factory.mktemp("sound") / "run"
    save_run(folder)
    with np.load(folder / checkpoint.FILE) as file:
        return {name: file[name] for name in file.files}


CHANGES = st.sampled_from(["missing", "extra", "transposed", "flat", "strings", "float16", "nan", "empty"])


def changed(arrays, name, change):
    """The arrays with one of them spoilt."""
    value = arrays[name]
    spoilt = {
        "transposed": lambda: value.T if value.ndim > 1 else value[None],
        "flat": lambda: value.reshape(-1),
        "strings": lambda: value.astype("U5"),
        "float16": lambda: value.astype("f2") if value.dtype.kind == "f" else value,
        "nan": lambda: np.full(value.shape, np.nan),
        "empty": lambda: value[:0] if value.ndim else np.empty(0),
    }
    if change == "missing":
        return {key: array for key, array in arrays.items() if key != name}
    if change == "extra":
        return {**arrays, f"{name}x": value}
    return {**arrays, name: spoilt[change]()}


@given(st.data(), CHANGES)
@cases(150)
def test_states_of_any_kind(sound_run, tmp_path, data, change):
    name = data.draw(st.sampled_from(sorted(sound_run)))
    assume(name != "json" or change in ("missing", "extra", "flat", "strings"))
    arrays = changed(sound_run, name, change)
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    np.savez(folder / checkpoint.FILE, **arrays)
    before = snapshot(tmp_path)
    config = Config(dataset="strokes", way=5)

    def load():
        params, _ = checkpoint.load_params(folder)
        return network.fitting(params, load_method(config), 5, str(folder))

    params = usable_or_a_sentence(load)
    assert snapshot(tmp_path) == before
    if params is not None:
        shapes = network.shapes(load_method(Config(dataset="strokes")), 5)
        assert {key: tuple(w.shape) for key, w in params.items()} == shapes


@given(st.data(), st.sampled_from(["missing", "extra", "transposed", "flat", "empty"]), st.integers(2, 9))
@cases(60)
def test_checkpoints_of_the_tf1_program_of_any_kind(sound_run, tmp_path, data, change, way):
    params = {name[7:]: value for name, value in sound_run.items() if name.startswith("params/")}
    name = data.draw(st.sampled_from(sorted(params)))
    tf1_checkpoint.write(tmp_path, changed(params, name, change))
    found = usable_or_a_sentence(
        lambda: network.fitting(checkpoint.load_params(tmp_path)[0], load_method(Config(dataset="strokes")), way, "run")
    )
    fits = way == 5 and (change == "extra" or (change == "flat" and params[name].ndim == 1))
    assert (found is not None) == fits


@given(st.binary(max_size=64), st.integers(0, 400), st.sampled_from(["model.index", "model.data-00000-of-00001"]))
@cases(60)
def test_bytes_in_a_checkpoint_of_the_tf1_program(sound_run, tmp_path, noise, place, name):
    params = {key[7:]: value for key, value in sound_run.items() if key.startswith("params/")}
    tf1_checkpoint.write(tmp_path, params)
    path = tmp_path / name
    content = bytearray(path.read_bytes())
    content[place : place + len(noise)] = noise
    path.write_bytes(content)
    read = usable_or_a_sentence(lambda: tf1_checkpoint.read(tmp_path))
    if read is not None:  # TensorFlow's own checksums have passed
        assert_equal_arrays(read, params)


NAMES = (
    "Latin/character01/0001_01.png", "../../evil.png", "/tmp/evil.png", "a/../../character01/b.png", "character01", "",
    f"Latin/character01/{'x' * 300}.png", "C:\\evil\\character01\\x.png",
)  # fmt: skip
CONTENTS = b"", b"\x89PNG", b"\0" * 100_000, bytes(range(256))
MEMBERS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(CONTENTS), st.booleans()), max_size=4)


@given(MEMBERS, st.floats(0, 1), st.booleans())
@cases(200)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zips_of_any_kind(tmp_path, capsys, monkeypatch, members, length, cut):
    """Names that leave the folder, bombs and links: nothing is unpacked, so nothing lands anywhere."""
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "source"
    source.mkdir(exist_ok=True)
    for part in ("images_background", "images_evaluation"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content, link in members:
                member = zipfile.ZipInfo(name)
                member.external_attr = (0o120777 if link else 0o100644) << 16
                file.writestr(member, content)
        content = buffer.getvalue()
        (source / f"{part}.zip").write_bytes(content[: int(len(content) * length)] if cut else content)
    refuses(get_data.main, capsys, tmp_path, "--dataset=omniglot", f"--source={source}")
    assert not pathlib.Path("/tmp/evil.png").exists() and not (tmp_path.parent / "evil.png").exists()


CANARY = "canary"
CALLS = [
    lambda: Call(os.system, f"touch {CANARY}"),
    lambda: Call(eval, f"open({CANARY!r}, 'w')"),
    lambda: Call(pathlib.Path.touch, pathlib.Path(CANARY)),
    lambda: Call(np.save, CANARY, 1),
    lambda: Call(open, CANARY, "w"),
    lambda: Call(print, "canary"),
]
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5),
              st.sampled_from(["htr", "hte", "w", "b", "ytr", "yte", "image_data", "class_dict"]),
              st.integers(0, 3).map(lambda n: np.zeros([2] * n))),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip


def with_call(value, call, deep):
    return [value, call] if not deep else {"htr": call, "image_data": call, "class_dict": {"a": [value, call]}}


@given(VALUES, st.sampled_from(range(len(CALLS))), st.booleans(), st.integers(0, 5), st.booleans(), st.floats(0, 1))
@cases(250)
def test_pickles_run_nothing(tmp_path, capsys, monkeypatch, value, call, deep, protocol, harmless, length):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(value if harmless else with_call(value, CALLS[call](), deep), protocol)
    path = tmp_path / "export.pkl"
    path.write_bytes(content[: max(1, int(len(content) * length))] if harmless else content)
    refuses(plot.main, capsys, tmp_path, f"--savedir={tmp_path}", "--figure=boundary")
    assert usable_or_a_sentence(lambda: load_mimgnet(path)) is None
    assert not (tmp_path / CANARY).exists() and "canary" not in capsys.readouterr().out
