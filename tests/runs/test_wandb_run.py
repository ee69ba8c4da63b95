"""W&B: which mode, which names, and that it can fail without harm."""

import os
import re
import socket
import subprocess
import sys
import time
import types

import pytest

from tests.helpers.runs import ROOT
from tf_metadrop import Config
from tf_metadrop.cli import plot
from tf_metadrop.runs import train_log, wandb_run


@pytest.fixture
def no_key(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_DISABLED", "WANDB_API_KEY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


ASK = "from tf_metadrop.runs import wandb_run; print(wandb_run.wandb_mode('auto'))"
LOGIN = ["-m", "wandb", "login", "--no-verify", "0123456789" * 4]
DEAD = "http://127.0.0.1:9"  # where nothing answers


@pytest.mark.slow
def test_auto_is_online_once_wandb_has_a_key_wherever_it_keeps_it(no_key):
    environment = {**os.environ, "WANDB_BASE_URL": DEAD, "HOME": str(no_key)}
    call = lambda *arguments: subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert call("-c", ASK).stdout == "offline\n"
    assert call(*LOGIN).returncode == 0
    found = call("-c", ASK)
    assert found.stdout == "online\n" and "API key" not in found.stderr  # it says nothing and asks nothing


@pytest.mark.parametrize(
    ("variables", "mode"),
    [
        ({"WANDB_API_KEY": "k"}, "online"),
        ({"WANDB_API_KEY": "k", "WANDB_MODE": "disabled"}, "disabled"),
        ({"WANDB_API_KEY": "k", "WANDB_MODE": "offline"}, "offline"),
        ({"WANDB_API_KEY": "k", "WANDB_MODE": "dryrun"}, "offline"),  # its older name
        ({"WANDB_API_KEY": "k", "WANDB_DISABLED": "true"}, "disabled"),
        ({"WANDB_API_KEY": "k", "WANDB_DISABLED": "false"}, "online"),
        ({"WANDB_MODE": "online"}, "online"),
    ],
)
def test_auto_heeds_the_variables(variables, mode, no_key, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert wandb_run.wandb_mode("auto") == mode
    assert wandb_run.wandb_mode("offline") == "offline"


def silent_server():
    """One that takes connections and never answers."""
    server = socket.create_server(("127.0.0.1", 0))
    return server, f"http://127.0.0.1:{server.getsockname()[1]}"


def test_whether_a_server_answers_is_known_in_seconds():
    server, address = silent_server()
    with server:
        for url in (DEAD, address, "http://no.such.host.invalid", "no address"):
            began = time.monotonic()
            assert not wandb_run.answers(url)
            assert time.monotonic() - began < wandb_run.WAIT + 2


@pytest.mark.slow
def test_a_key_without_a_network_is_offline_in_seconds_and_nothing_is_lost(no_key, tmp_path, monkeypatch):
    environment = {**os.environ, "WANDB_BASE_URL": DEAD, "WANDB_API_KEY": "0123456789" * 4, "WANDB_SILENT": "true"}
    code = (
        "import pathlib; from tf_metadrop import Config; from tf_metadrop.runs import wandb_run\n"
        f"run = wandb_run.Wandb(pathlib.Path({str(tmp_path)!r}), Config(wandb='online'))\n"
        "run.log({'iter': 3, 'accuracy': 0.625}); run.finish()"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert time.monotonic() - began < 60  # it was 90 and more
    assert f"W&B: the server {DEAD} does not answer within 5 seconds: the run is kept offline" in done.stderr
    kept = list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert len(kept) == 1 and b"0.625" in kept[0].read_bytes()


def test_a_run_that_cannot_be_started_online_is_kept_offline(fake_wandb, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(wandb_run, "answers", lambda url: True)
    monkeypatch.setattr(wandb_run, "server", lambda wandb: "https://w")
    init = sys.modules["wandb"].init

    def refuse_online(mode, **arguments):
        if mode == "online":
            raise RuntimeError("the key is of nobody\nmore")
        return init(mode=mode, **arguments)

    sys.modules["wandb"].init = refuse_online
    wandb_run.Wandb(tmp_path, Config(wandb="online")).log({"iter": 1})
    assert fake_wandb[0][1].logged == [{"iter": 1}]
    assert "cannot be started online (the key is of nobody): the run is kept offline" in capsys.readouterr().err


def test_names_and_folders_of_the_environment(fake_wandb, tmp_path, monkeypatch):
    for name, value in {"PROJECT": "theirs", "NAME": "mine", "DIR": "/elsewhere", "SILENT": "false"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    wandb_run.Wandb(tmp_path, Config(wandb="offline"))
    found = fake_wandb[0][0]
    assert (found["project"], found["name"], found["dir"]) == ("theirs", "mine", "/elsewhere")
    assert "silent" not in found["settings"]
    (tmp_path / "other").mkdir()
    wandb_run.Wandb(tmp_path / "other", Config(wandb="offline", name="flag"))
    assert fake_wandb[1][0]["name"] == "flag"


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
    text = (ROOT / "docs" / "guides" / "wandb.md").read_text()
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
    assert capsys.readouterr().err == "W&B failed (its process ended): continuing without it.\n"


def test_disabled_does_not_import_wandb(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    wandb_run.Wandb(tmp_path, Config(wandb="disabled"))
    assert "wandb" not in sys.modules
