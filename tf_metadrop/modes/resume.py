"""Finds the run that a savedir holds, and checks whether a training may resume it."""

from __future__ import annotations

import pathlib
import re

from tf_metadrop.config import identity
from tf_metadrop.config.config import Config, of_texts
from tf_metadrop.config.setting import Role
from tf_metadrop.errors import UsageError
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.runs import checkpoint, record, tf1_checkpoint
from tf_metadrop.runs.checkpoint import Saved
from tf_metadrop.runs.train_log import TrainLog, header

CHANGEABLE = "n_train_iters", *identity.names(Role.EVALUATION)  # settings that earlier steps do not depend on


def find_run(directory: pathlib.Path, config: Config) -> Saved | None:
    """The unfinished or finished run in the savedir that this config resumes; None if there is no run.

    Raises:
      UsageError: the savedir holds another run or other files that training would overwrite.
    """
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"--savedir={directory} is a file: give a folder.")
    kind = checkpoint.kind(directory)
    if kind != "ours" and is_started(directory, config, weights=kind == "tf1"):
        return None
    if kind == "tf1":
        raise UsageError(
            f"{directory} holds a checkpoint of the TF1 program (model.*, but no state.npz to resume from), which "
            "training would overwrite: give another --savedir."
        )
    if kind is None:
        if any((directory / name).exists() for name in TrainLog.FILES):
            raise UsageError(f"{directory} holds logs of another run, but no checkpoint: give another --savedir.")
        return None
    if not config.resume:
        raise UsageError(f"{directory} holds a run and --noresume forbids to resume it: give another --savedir.")
    saved = checkpoint.load(directory)
    if different := [name for name in config.differences(saved.config) if name not in CHANGEABLE]:
        list_of = lambda settings: ", ".join(f"--{name}={settings[name]}" for name in different)
        theirs, ours = list_of({**Config().as_dict(), **saved.config}), list_of(config.as_dict())
        raise UsageError(f"{directory} holds a run with {theirs}, not {ours}: give the same, or another --savedir.")
    if int(saved.state.iteration) - 1 > config.n_train_iters < saved.config["n_train_iters"]:
        raise UsageError(
            f"{directory} holds a run that is at iteration {int(saved.state.iteration) - 1}, beyond --n_train_iters="
            f"{config.n_train_iters}: give at least that number, or another --savedir."
        )
    network.fitting(saved.state.params, load_method(config), config.way, str(directory))
    return saved


def changes(saved: Saved | None, config: Config) -> str:
    """The settings that a resumed run changes, for its log, as "n_train_iters 20 -> 40"; "" if there are none."""
    if not saved:
        return ""
    new, old = config.as_dict(), {**Config().as_dict(), **saved.config}
    return ", ".join(f"{name} {old[name]} -> {new[name]}" for name in CHANGEABLE if old[name] != new[name])


def is_started(directory: pathlib.Path, config: Config, weights: bool) -> bool:
    """Whether the logs are those of this run, killed before its first checkpoint was complete, so that it starts again.

    The first checkpoint is that of iteration 0. If a log goes further, the checkpoint was lost later.

    Args:
      directory: the savedir.
      config: settings of this run.
      weights: whether there are weights in the TF1 program's format; this program writes them after the log's header.
    """
    path = directory / TrainLog.FILES[0]
    text = path.read_text(errors="replace") if path.exists() else None
    further = record.read(directory).get("iterations", 0) > 1
    if text is None or further or re.search(r"^Iter [1-9]|^meta_\w+ *: episode [1-9]", text, re.MULTILINE):
        return False
    if "\n\n" not in text:
        return not weights and header(config).decode().startswith(text)
    texts = tf1_checkpoint.header(text)
    return texts.keys() == config.as_dict().keys() and not config.differences(of_texts(texts))
