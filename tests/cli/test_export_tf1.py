"""metadrop export_tf1."""

import pathlib
import shutil

import pytest

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
