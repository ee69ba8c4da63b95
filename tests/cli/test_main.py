"""main.py: which GPUs it sees, and where a run of a W&B agent goes."""

import os

import pytest

from tf_metadrop import Config
from tf_metadrop.cli import main


def test_runs_of_a_wandb_agent_have_folders_of_their_own(monkeypatch):
    settings = Config(savedir="S")
    assert main.in_sweep(settings).savedir == "S"
    monkeypatch.setenv("WANDB_SWEEP_ID", "s1")
    monkeypatch.setenv("WANDB_RUN_ID", "r1")
    assert main.in_sweep(settings).savedir == "S/r1"


@pytest.mark.parametrize(
    ("given", "gpu_id", "devices", "visible"),
    [
        (None, None, 1, "0"),
        (None, 2, 1, "2"),
        (None, 1, 3, "1,2,3"),
        (None, -1, 1, "-1"),
        ("3", None, 1, "3"),  # SLURM's
        ("3,5, 7", 1, 2, "5,7"),
        ("3,5", None, 1, "3"),
        ("GPU-8f1e,MIG-2a", 1, 1, "MIG-2a"),
        ("", None, 1, ""),
        ("-1", None, 1, "-1"),
        ("-1", 2, 1, "-1"),
        ("3,-1,5", None, 3, "3"),  # CUDA looks no further than -1
        ("3", -1, 1, "-1"),
    ],
)
def test_which_gpus_are_seen(given, gpu_id, devices, visible, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    monkeypatch.setattr(
        main, "in_sweep", lambda settings: Config(gpu_id=0 if gpu_id is None else gpu_id, devices=devices)
    )
    monkeypatch.setattr(
        "tf_metadrop.modes.train.meta_train", lambda settings: seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    )
    seen = []
    assert main.main(["main.py"]) == 0 and seen == [visible]
