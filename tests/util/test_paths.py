"""Paths as people write them: with ~, and with signs that programs take for patterns."""

import pathlib
import re

import numpy as np
import pytest

from tests.helpers.runs import ROOT, assert_equal_arrays
from tests.helpers.savedirs import finished
from tf_metadrop import Config, MetaLearner, UsageError, meta_test, meta_train
from tf_metadrop.cli import compare, export_tf1, get_data, main, plot, report, tables
from tf_metadrop.data import load_split
from tf_metadrop.experiments import sweep
from tf_metadrop.experiments.sweep_definition import Definition
from tf_metadrop.runs import tf1_checkpoint

TINY = dict(
    dataset="strokes", way=2, query=1, metabatch=1, n_steps=1, blocks=2, n_train_iters=0, n_eval_batches=1,
    wandb="disabled",
)  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder, elsewhere = tmp_path / "home", tmp_path / "work"
    folder.mkdir()
    elsewhere.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(elsewhere)
    yield folder
    assert not [path for path in elsewhere.rglob("*") if "~" in path.name]  # what `rm -r ~` was to clear


def test_a_tilde_is_the_home_folder(home, capsys):
    images = np.zeros([3, 6, 784], np.uint8)
    images[:, :, :50] = 255
    (home / "data" / "omniglot").mkdir(parents=True)
    for split in "train", "test":
        np.save(home / "data" / "omniglot" / f"{split}.npy", images)
    assert load_split("omniglot", "~/data", "test").shape == (3, 6, 28, 28, 1)
    (home / "my.flags").write_text("\n".join(f"--{name}={value}" for name, value in (TINY | dict(blocks=4)).items()))
    assert main.main(["main.py", "--flagfile=~/my.flags", "--savedir=~/runs/x"]) == 0
    assert (home / "runs" / "x" / "state.npz").exists()
    assert MetaLearner.load("~/runs/x").config.savedir == str(home / "runs" / "x")
    assert meta_test(Config(savedir="~/runs/x", n_test_iters=2, metabatch=1, wandb="disabled"))["episodes"] == 2
    MetaLearner.load("~/runs/x").save("~/kept")
    assert MetaLearner.load("~/kept").config.way == 2
    assert export_tf1.main(["export", "~/runs/x", "~/tf1"]) == 0 and (home / "tf1" / "model.index").exists()
    finished(home / "done" / "a", [0.5, 0.6])
    assert tables.main(["tables", "~/done", "--output", "~/page"]) == 0 and (home / "page" / "tables.md").exists()
    assert report.main(["report", "~/done", "--output=~/r.html"]) == 0 and (home / "r.html").exists()
    assert plot.main(["plot.py", "--savedir=~/done/a", "--curves", "--out=~/figures"]) in (0, 2)
    arguments = ["get_data.py", "--dataset=omniglot", "--source=~/nowhere", "--data_dir=~/new"]
    assert get_data.main(arguments) == 2
    assert f"{home}/nowhere is not a folder" in capsys.readouterr().err.replace("--source ", "")
    assert compare.main(["compare", "--tf1_savedir=~/runs/x", "--savedir=~/none"]) == 2


def test_every_path_that_a_command_takes_is_expanded():
    """By `paths.path`: no argument is made a path otherwise."""
    for path in [*(ROOT / "tf_metadrop" / "cli").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]:
        code = path.read_text()
        assert not re.findall(r"type=pathlib|pathlib\.Path\((?:values|args)\.", code), path
    fields = Config.__dataclass_fields__.values()
    named = {field.name for field in fields if re.search(r"folder|\.npz\)", field.metadata["help"])}
    assert named - {"weights"} == {field.name for field in fields if field.metadata["path"]}


NAMES = [
    "run[1]",
    "a*b?",
    "with space",
    "ünï 日本",
    "quo'te\"d",
    "{x}",
    "100%",
    "#1;&",
    "-dash",
    "x" * 200,
    "[",
    "a\nb",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_savedir_may_have_any_name(name, tmp_path):
    source, folder = tmp_path / "source", tmp_path / name
    params = {"theta/conv1_w": np.arange(9.0, dtype=np.float32), "phi/b": np.ones(2, np.float32)}
    for where in (source, folder):
        where.mkdir()
        tf1_checkpoint.write(where, params)
    assert_equal_arrays(tf1_checkpoint.read(folder), params)
    assert (folder / "model.index").read_bytes() == (source / "model.index").read_bytes()
    definition = Definition("grid", {"seed": {"values": [0]}}, [])
    sweep.open_study(definition, folder, None, False, 0)
    assert (folder / "study.db").exists() and len(list(tmp_path.iterdir())) == 2


def test_a_run_in_a_folder_with_brackets(tmp_path):
    folder = tmp_path / "run[1] *?"
    learner = meta_train(Config(savedir=str(folder), **TINY))
    (folder / "state.npz").unlink()
    assert_equal_arrays(MetaLearner.load(folder).params, learner.params)
    assert meta_test(Config(savedir=str(folder), n_test_iters=2, metabatch=1, wandb="disabled"))["episodes"] == 2


@pytest.mark.parametrize(
    ("pointer", "names", "found"),
    [
        ('model_checkpoint_path: "/home/lee/results/model-60000"\n', ["model-50000", "model-60000"], "model-60000"),
        ('model_checkpoint_path: "C:\\\\runs\\\\best"\r\n', ["best", "last"], "best"),
        ('model_checkpoint_path: "gone"\n', ["model.ckpt-7"], "model.ckpt-7"),
        (None, ["other"], "other"),
        (None, ["model", "other"], "model"),
        (None, ["one", "two"], None),
        ('model_checkpoint_path: "three"\n', ["one", "two"], None),
    ],
)
def test_checkpoints_from_other_machines_and_programs(pointer, names, found, tmp_path):
    for name in names:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tf1_checkpoint, "PREFIX", name)
            tf1_checkpoint.write(tmp_path, {"theta/w": np.full(2, len(name), np.float32)})
    (tmp_path / "checkpoint").unlink()
    if pointer:
        (tmp_path / "checkpoint").write_text(pointer, newline="")
    if found is None:
        with pytest.raises(UsageError, match=r"holds several checkpoints \(one, two\)"):
            tf1_checkpoint.read(tmp_path)
    else:
        assert tf1_checkpoint.read(tmp_path)["theta/w"].tolist() == [len(found)] * 2


def test_where_links_cannot_be_had_files_are_copied(tmp_path, monkeypatch):
    tf1_checkpoint.write(tmp_path, {"theta/w": np.ones(2, np.float32)})

    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(pathlib.Path, "symlink_to", refuse)
    assert tf1_checkpoint.read(tmp_path)["theta/w"].tolist() == [1, 1]
