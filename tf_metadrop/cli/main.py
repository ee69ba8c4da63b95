"""Meta-trains, meta-tests, exports or attacks Meta-dropout, MAML and others, with the flags of the TF1 program.

metadrop train, test, export and attack call this program with --mode set.

python main.py --mode=meta_train --dataset=strokes --way=5 --savedir=checkpoints/try
python main.py --mode=meta_test --savedir=checkpoints/try --metabatch=1 --n_test_mc_samp=30
python main.py --mode=export --savedir=checkpoints/try
python main.py --mode=attack --savedir=checkpoints/try --metabatch=1 --n_test_iters=100
python main.py --replay checkpoints/try/fault_17.npz
python main.py --flagfile=flags/release/omniglot_20way1shot_metadrop.flags
"""

import dataclasses
import gc
import os
import pathlib
from collections.abc import Sequence

from absl import flags

from tf_metadrop.cli import program
from tf_metadrop.config import absl_flags
from tf_metadrop.config.config import Config
from tf_metadrop.util import environment
from tf_metadrop.util.quiet import importing_tensorflow


def act(values: flags.FlagValues) -> None:
    """Does what --mode says."""
    settings = in_sweep(absl_flags.from_flags(values))
    environment.before_tensorflow(settings.gpu_id, settings.devices)
    with importing_tensorflow():
        import tensorflow as tf

        from tf_metadrop.algorithm import workers
        from tf_metadrop.modes import attack, evaluate, export, replay, train

        gpus = tf.config.list_physical_devices("GPU")
    gc.freeze()  # imported objects stay alive: searching them for garbage would take a tenth of the first step's time
    several = workers.cluster() if settings.mode == "meta_train" else None
    if not several or several.number == 0:  # only the chief prints
        print(f"TensorFlow {tf.__version__} on {place(bool(gpus))}")
    try:
        if settings.replay:
            replay.replay(pathlib.Path(settings.replay))
        elif settings.mode == "meta_train":
            train.meta_train(settings)
        else:
            runs = {"export": export.export_features, "attack": attack.attack_model}
            runs.get(settings.mode, evaluate.meta_test)(settings, given=absl_flags.given_flags(values))
    except tf.errors.ResourceExhaustedError as error:  # the device's memory
        raise MemoryError from error


def place(gpu: bool) -> str:
    """The device that TensorFlow uses, for the first line of the output."""
    if gpu:
        return f"GPU {os.environ[environment.GPUS]}"
    limit = environment.threads(environment.OPENMP)
    return f"CPU, {limit} thread{'s' * (limit > 1)} by {environment.OPENMP}" if limit else "CPU"


def in_sweep(settings: Config) -> Config:
    """The settings; a W&B sweep agent starts all runs with one --savedir, so each run gets its own folder there."""
    if not os.environ.get("WANDB_SWEEP_ID") or not os.environ.get("WANDB_RUN_ID"):
        return settings
    return dataclasses.replace(settings, savedir=str(settings.directory / os.environ["WANDB_RUN_ID"]))


def main(argv: Sequence[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    return program.run(argv, __doc__, absl_flags.define_flags, act)
