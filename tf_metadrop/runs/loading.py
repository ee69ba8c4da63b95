"""A savedir's model and the settings to test it with."""

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
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn.params import cast, narrow
from tf_metadrop.runs import checkpoint

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params


def test_split(config: Config) -> Split:
    """The images of --eval_split."""
    return open_split(config.spec, config.data_dir, config.eval_split, config.eval_split == "val")


def test_images(config: Config) -> Images:
    """The images of --eval_split."""
    return Images(test_split(config), config)


def load_run(config: Config, given: set[str] | None) -> tuple[Config, Params, dict]:
    """The Config to test a savedir's model with, its parameters, and the settings of its run. Prepares TensorFlow.

    Settings of the task and the inner loop that were not given are the run's own; those that were may differ from it
    (another shot, more steps, fewer classes), except dataset and method, which the weights depend on.

    Raises:
      UsageError: there is no model, or it does not fit.
    """
    directory = config.directory
    params, run = checkpoint.load_params(directory, config.weights)
    if not os.access(directory, os.W_OK):  # before the work, not after it
        raise UsageError(f"{directory} cannot be written to: copy it to a folder of yours and give that as --savedir.")
    config = config.inherit(run, given)
    if different := identity.unfit(run, config.as_dict()):
        theirs = ", ".join(f"--{name}={run[name]}" for name in different)
        raise UsageError(f"{directory} was trained with {theirs}: give the same here, or leave it out.")
    fitting = fitted(directory, params, run, config)
    need_images(directory, run, config)
    check_images(directory, run, config)
    prepare(config)
    return config, cast(fitting, config.dtype), run


def fitted(directory: pathlib.Path, params: Params, run: dict, config: Config) -> Params:
    """The parameters of a run that are to be tested as `config` says.

    Raises:
      UsageError: they do not fit, or the run was trained on the classes of --eval_split.
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


def need_images(directory: pathlib.Path, run: dict, config: Config) -> None:
    """Raises UsageError, before the work, where the images to test on are missing."""
    folder = pathlib.Path(config.data_dir) / config.dataset
    held_out = config.eval_split == "val" and not (folder / "val.npy").exists()
    needed = folder / f"{'train' if held_out else config.eval_split}.npy"
    if not config.spec.generated and not needed.exists():
        raise UsageError(f"{needed} is missing, on which {directory} is to be tested: {how_to_get(run)}.")


def check_images(directory: pathlib.Path, run: dict, config: Config) -> None:
    """Sees to it that a run is not tested on what it was trained on; where that is meant, notes it in `run`.

    Raises:
      UsageError: --data_dir has another training split than the run's, and --other_images was not given.
    """
    if IMAGES not in run:  # nothing to compare: the images are not read
        return
    here = training_images(run, config.spec, config.data_dir)
    if here in (None, run[IMAGES]):
        return
    if not config.other_images:
        raise UsageError(
            f"{directory} was trained on other images than those of {config.data_dir}/{config.dataset}/train.npy, so "
            f"that classes it is tested on may be among them: {how_to_get(run)}; or say by --other_images that this is "
            "meant."
        )
    print(f"{directory} is tested with other images than its own: its training classes may be among those tested.")
    run["tested_with_images"] = here
