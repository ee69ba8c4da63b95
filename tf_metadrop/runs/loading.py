"""Loads the model of a savedir, and the settings to test it with."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

from tf_metadrop.algorithm.episodes import Images
from tf_metadrop.algorithm.execution import prepare
from tf_metadrop.config import identity
from tf_metadrop.config.config import Config
from tf_metadrop.data.fingerprint import IMAGES, how_to_get, training_images
from tf_metadrop.data.sources import open_split
from tf_metadrop.data.split import Split
from tf_metadrop.errors import UsageError
from tf_metadrop.methods import inner, network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn.params import cast, narrow
from tf_metadrop.runs import checkpoint

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params


def test_split(config: Config) -> Split:
    """The split of --eval_split."""
    return open_split(config.spec, config.data_dir, config.eval_split, config.eval_split == "val")


def test_images(config: Config) -> Images:
    """The images of --eval_split, from which episodes are drawn."""
    return Images(test_split(config), config)


def load_run(config: Config, given: set[str] | None) -> tuple[Config, Params, dict]:
    """Loads a savedir's model; returns the Config to test it with, its parameters and the settings of its run.

    Settings of the task and the inner loop that were not given are those of the run. Those that were given may differ
    from the run (another shot, more steps, fewer classes), except the data set and the method, on which the weights
    depend. It also prepares TensorFlow.

    Raises:
      UsageError: there is no model, or it does not fit the config.
    """
    directory = config.directory
    params, run = checkpoint.load_params(directory, config.weights)
    if not os.access(directory, os.W_OK):  # checked before the work, not after it
        raise UsageError(f"{directory} cannot be written to: copy it to another folder and give that as --savedir.")
    config = config.inherit(run, given)
    if different := identity.unfit(run, config.as_dict()):
        theirs = ", ".join(f"--{name}={run[name]}" for name in different)
        raise UsageError(f"{directory} was trained with {theirs}: give the same here, or leave it out.")
    check_rate(run, config)
    fitting = fitted(directory, params, run, config)
    need_images(directory, run, config)
    check_images(directory, run, config)
    prepare(config)
    return config, cast(fitting, config.dtype), run


def fitted(directory: pathlib.Path, params: Params, run: dict, config: Config) -> Params:
    """The parameters of a run, with the dense layer narrowed to the way of the test.

    Raises:
      UsageError: they do not fit the config, or the run was trained on the classes of --eval_split.
    """
    separate = config.spec.generated or (pathlib.Path(config.data_dir, config.dataset, "val.npy")).exists()
    if config.eval_split == "val" and run.get("eval_split") != "val" and not separate:
        raise UsageError(
            f"{directory} was trained on all training classes, so none are left for --eval_split=val: train with "
            "--eval_split=val, which holds some out."
        )
    trained_way = max(config.way, run.get("way", config.way))
    fitting = network.fitting(params, load_method(config), trained_way, str(directory))
    if trained_way > config.way:
        fitting = narrow(fitting, config.way)
    return fitting


def check_rate(run: dict, config: Config) -> None:
    """Raises UsageError if another inner learning rate is asked for than that of a run which learned its rates."""
    began = run.get("inner_lr", config.inner_lr)
    if getattr(inner.load(config.inner), "LEARNS_RATES", False) and began != config.inner_lr:
        raise UsageError(
            f"--inner_lr={config.inner_lr:g} has no effect on --inner={config.inner}, which learned its rates from "
            f"{began:g} on: leave it out."
        )


def need_images(directory: pathlib.Path, run: dict, config: Config) -> None:
    """Raises UsageError if the images to test on are missing; call it before the work."""
    folder = pathlib.Path(config.data_dir) / config.dataset
    held_out = config.eval_split == "val" and not (folder / "val.npy").exists()
    needed = folder / f"{'train' if held_out else config.eval_split}.npy"
    if not config.spec.generated and not needed.exists():
        raise UsageError(f"{needed} is missing, but {directory} is to be tested on it: {how_to_get(run)}.")


def check_images(directory: pathlib.Path, run: dict, config: Config) -> None:
    """Checks that a run is not tested on its training classes; with --other_images, it is noted in `run` instead.

    Raises:
      UsageError: --data_dir has another training split than the run's, and --other_images was not given.
    """
    if IMAGES not in run:  # nothing to compare with
        return
    here = training_images(run, config.spec, config.data_dir)
    if here in (None, run[IMAGES]):
        return
    if not config.other_images:
        raise UsageError(
            f"{directory} was trained on other images than those of {config.data_dir}/{config.dataset}/train.npy, so "
            f"it may have been trained on classes of the test: {how_to_get(run)}; or give --other_images to test it "
            "anyway."
        )
    print(f"{directory} is tested on other images than its own: it may have been trained on classes of the test.")
    run["tested_with_images"] = here
