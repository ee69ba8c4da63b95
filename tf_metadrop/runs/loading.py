"""A savedir's model and the settings to test it with."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from tf_metadrop.algorithm.episodes import Images
from tf_metadrop.algorithm.execution import prepare
from tf_metadrop.config import identity
from tf_metadrop.config.config import Config
from tf_metadrop.data import DATASETS, load_split, warn_of_other_images
from tf_metadrop.errors import UsageError
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn.params import cast
from tf_metadrop.runs import checkpoint

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params


def test_split(config: Config) -> np.ndarray:
    """The images of --eval_split, as `load_split` gives them."""
    return load_split(config.dataset, config.data_dir, config.eval_split, config.eval_split == "val")


def test_images(config: Config) -> Images:
    """The images of --eval_split."""
    return Images(test_split(config), config)


def load_run(config: Config, given: set[str] | None) -> tuple[Config, Params, dict]:
    """The Config to test a savedir's model with, its parameters, and the settings of its run. Prepares TensorFlow.

    Settings of the task and the inner loop that were not given are the run's own; those that were may differ from it
    (another shot, more steps), except dataset, way and method, which the weights depend on.

    Raises:
      UsageError: there is no model, or it does not fit.
    """
    directory = config.directory
    params, run = checkpoint.load_params(directory, config.weights)
    if not os.access(directory, os.W_OK):  # before the work, not after it
        raise UsageError(f"{directory} cannot be written to: copy it to a folder of yours and give that as --savedir.")
    config = config.inherit(run, given)
    ours = config.as_dict()
    if different := [name for name in identity.of_weights() if run.get(name, ours[name]) != ours[name]]:
        theirs = ", ".join(f"--{name}={run[name]}" for name in different)
        raise UsageError(f"{directory} was trained with {theirs}: give the same here, or leave it out.")
    fitting = fitted(directory, params, run, config)
    prepare(config)
    return config, cast(fitting, config.dtype), run


def fitted(directory: pathlib.Path, params: Params, run: dict, config: Config) -> Params:
    """The parameters of a run that are to be tested as `config` says; warns if its training images are not here.

    Raises:
      UsageError: they do not fit, or the run was trained on the classes of --eval_split.
    """
    separate = DATASETS[config.dataset].generated or (pathlib.Path(config.data_dir, config.dataset, "val.npy")).exists()
    if config.eval_split == "val" and run.get("eval_split") != "val" and not separate:
        raise UsageError(
            f"{directory} was trained on all training classes, so none are left for --eval_split=val: train with "
            "--eval_split=val, which holds some out."
        )
    fitting = network.fitting(params, load_method(config), config.way, str(directory))
    warn_of_other_images(directory, run, config.dataset, config.data_dir)
    return fitting
