"""W&B: which mode, which names, and that it can fail without harm."""

import re
import sys
import types

import pytest

from tests.helpers.runs import ROOT
from tf_metadrop import Config
from tf_metadrop.cli import plot
from tf_metadrop.runs import train_log, wandb_run


@pytest.fixture
def no_key(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_auto_is_online_only_with_a_key(no_key, monkeypatch):
    assert wandb_run.wandb_mode("auto") == "offline"
    (no_key / ".netrc").write_text("machine api.wandb.ai login user password secret\n")
    (no_key / ".netrc").chmod(0o600)
    assert wandb_run.wandb_mode("auto") == "online"
    (no_key / ".netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "k")
    assert wandb_run.wandb_mode("auto") == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_run.wandb_mode("auto") == "disabled"
    assert wandb_run.wandb_mode("offline") == "offline"


class FakeRun:
    id = "abc"

    def __init__(self):
        self.logged, self.finished = [], False

    def log(self, numbers, step=None):
        assert step == numbers.get("iter")
        self.logged.append(numbers)

    def finish(self):
        self.finished = True


@pytest.fixture
def fake_wandb(monkeypatch):
    calls = []

    def init(**arguments):
        calls.append((arguments, FakeRun()))
        return calls[-1][1]

    shown = dict(Table=lambda **table: table, Image=lambda path: f"image {path}", Video=lambda path, format: format)
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init, Settings=dict, **shown))
    return calls


def test_names_of_the_report_and_one_run_for_all_modes(fake_wandb, tmp_path):
    config = Config(wandb="offline", log_freq=1, savedir=str(tmp_path), n_train_iters=1, metabatch=3)
    with train_log.TrainLog(tmp_path, config) as log:
        log.trained(0, (2.0, 0.5))
        log.trained(1, (1.0, 0.75))
        log.evaluated(1, "test", {"cent": 0.5, "accuracy": 0.9})
    arguments, run = fake_wandb[0]
    assert arguments["config"] == config.as_dict() and arguments["mode"] == "offline"
    assert arguments["name"] == tmp_path.name and "id" not in arguments
    assert run.logged == [
        {"iter": 0, "episode": 0, "learning_rate": 1e-3, "cent": 2.0, "acc": 0.5},
        {"iter": 1, "episode": 3, "learning_rate": 1e-3, "cent": 1.0, "acc": 0.75},
        {"iter": 1, "episode": 3, "test_cent": 0.5, "test_acc": 0.9},
    ]
    assert run.finished
    wandb_run.Wandb(tmp_path, config)
    assert fake_wandb[1][0]["id"] == "abc" and "config" not in fake_wandb[1][0]  # a test keeps its training's


def test_figures_and_tables(fake_wandb, tmp_path):
    tracker = wandb_run.Wandb(tmp_path, Config(wandb="offline"))
    tracker.table("attack", [{"norm": "l1", "epsilon": 0.0}, {"norm": "l1", "epsilon": 1.0}])
    tracker.figures({"figures/plot/a.png": tmp_path / "a.png", "figures/plot/b.gif": tmp_path / "b.gif"})
    table, figures = fake_wandb[0][1].logged
    assert table == {"attack": {"columns": ["norm", "epsilon"], "data": [["l1", 0.0], ["l1", 1.0]]}}
    assert figures == {"figures/plot/a.png": f"image {tmp_path}/a.png", "figures/plot/b.gif": "gif"}


def test_plot_shows_its_figures_in_the_run_that_wandb_tracks(fake_wandb, tmp_path, monkeypatch):
    config = Config(wandb="offline", log_freq=1, savedir=str(tmp_path), n_train_iters=1)
    with train_log.TrainLog(tmp_path, config) as log:
        log.trained(0, (2.0, 0.5))
        log.trained(1, (1.0, 0.75))
    for mode, tracked in (("disabled", 1), ("offline", 2)):
        assert plot.main(["plot.py", f"--savedir={tmp_path}", "--figure=curves", f"--wandb={mode}"]) == 0
        assert len(fake_wandb) == tracked
    arguments, run = fake_wandb[1]
    assert arguments["id"] == "abc" and run.finished
    assert run.logged == [{"figures/plot/curves.png": f"image {tmp_path}/plot/curves.png"}]


def test_the_documented_report_can_be_built(monkeypatch, capsys):
    reports = pytest.importorskip("wandb_workspaces.reports.v2")
    saved = []
    monkeypatch.setattr(reports.Report, "save", lambda self, draft: saved.append(self))
    monkeypatch.setattr(reports.Report, "url", "address")
    text = (ROOT / "docs" / "wandb.md").read_text()
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], {})
    grids = [block for block in saved[0].blocks if isinstance(block, reports.PanelGrid)]
    assert len(grids) == 6 and "test_acc" in str(grids[0]) and capsys.readouterr().out == "address\n"


def test_wandb_that_fails_is_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)  # import raises ImportError
    tracker = wandb_run.Wandb(tmp_path, Config(wandb="offline"))
    assert capsys.readouterr().err.count("\n") == 1
    tracker.log({"iter": 1})
    tracker.finish()


def test_wandb_that_fails_later_is_one_line(fake_wandb, tmp_path, capsys):
    def fail(*_, **__):
        raise RuntimeError("its process ended")

    tracker = wandb_run.Wandb(tmp_path, Config(wandb="offline"))
    fake_wandb[0][1].log = fail
    tracker.log({"iter": 1})
    tracker.table("attack", [{"norm": "l1"}])
    tracker.finish()
    assert capsys.readouterr().err == "W&B failed (its process ended): going on without it.\n"


def test_disabled_does_not_import_wandb(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    wandb_run.Wandb(tmp_path, Config(wandb="disabled"))
    assert "wandb" not in sys.modules
