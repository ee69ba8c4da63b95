"""metadrop export_tf1."""

import pathlib
import shutil

import pytest

from tf_metadrop import Config, meta_train
from tf_metadrop.cli import export_tf1
from tf_metadrop.runs import tf1_checkpoint

WRITTEN_BY_TF1 = pathlib.Path(__file__).parents[1] / "golden" / "tf1_checkpoint"


@pytest.fixture
def savedir(tmp_path):
    return pathlib.Path(shutil.copytree(WRITTEN_BY_TF1, tmp_path / "tf1"))


def test_what_we_write_is_the_same_bundle(savedir, tmp_path, capsys):
    out = tmp_path / "out"
    assert export_tf1.main(["export", str(savedir), str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["checkpoint", "model.data-00000-of-00001", "model.index"]
    assert (out / "checkpoint").read_bytes() == (savedir / "checkpoint").read_bytes()
    for suffix in tf1_checkpoint.SUFFIXES:
        assert (out / f"model{suffix}").read_bytes() == (savedir / f"model{suffix}").read_bytes()
    assert export_tf1.main(["export", str(savedir), str(out)]) == 2
    assert "exists and is a file or holds a checkpoint" in capsys.readouterr().err
    assert export_tf1.main(["export", str(tmp_path / "nowhere"), str(tmp_path / "new")]) == 2
    assert not (tmp_path / "new").exists() and "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (dict(backbone="resnet12", widths="2,2,2,2"), "was trained with --backbone=resnet12, which the TF1"),
        (dict(blocks=2), "was trained with --blocks=2"),
        (dict(filters=8), "was trained with --filters=8"),
    ],
)
def test_other_networks_are_not_that_programs(settings, sentence, tmp_path, capsys):
    small = dict(dataset="strokes", way=2, query=1, metabatch=1, n_steps=1, n_train_iters=0, n_eval_batches=1)
    meta_train(Config(savedir=str(tmp_path / "run"), maml=True, wandb="disabled", **small, **settings))
    assert export_tf1.main(["export", str(tmp_path / "run"), str(tmp_path / "out")]) == 2
    assert sentence in capsys.readouterr().err and not (tmp_path / "out").exists()
