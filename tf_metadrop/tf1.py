"""Checkpoints of the TF1 program, read and written (TF1_BEHAVIOUR, "Files it writes").

python -m tf_metadrop.tf1 export SAVEDIR OUT     the weights of SAVEDIR as OUT/model.*, which the TF1 program restores
"""

import os
import pathlib
import re
import sys
import tempfile

import numpy as np
import tensorflow as tf

from tf_metadrop.errors import UsageError

PREFIX = "model"
SUFFIXES = ".data-00000-of-00001", ".index"  # in the order of writing: the index names the data
POINTER = f'model_checkpoint_path: "{PREFIX}"\nall_model_checkpoint_paths: "{PREFIX}"\n'
SETTING_TYPES = {
    **dict.fromkeys(("way", "shot", "query", "metabatch", "n_steps", "n_train_iters", "n_test_mc_samp"), int),
    **dict.fromkeys(("inner_lr", "meta_lr"), float),
    "dataset": str,
    "maml": lambda text: text == "True",
}


def find(directory: pathlib.Path) -> str | None:
    """Prefix of the TF1 checkpoint in a folder, or None."""
    prefix = directory / PREFIX
    return str(prefix) if prefix.with_name(f"{PREFIX}.index").exists() else tf.train.latest_checkpoint(directory)


def read(directory: pathlib.Path) -> dict[str, np.ndarray]:
    """All float variables of the TF1 checkpoint in a folder, by name.

    Raises:
      UsageError: there is none, or it is broken.
    """
    prefix = find(directory)
    if prefix is None:
        raise UsageError(f"{directory} holds no checkpoint (model.index): give the savedir of a trained run.")
    try:
        reader = tf.train.load_checkpoint(prefix)
        return {n: reader.get_tensor(n) for n, t in reader.get_variable_to_dtype_map().items() if t == tf.float32}
    except (tf.errors.OpError, IndexError, ValueError, RuntimeError) as error:  # as the reader raises them
        reason = str(error).splitlines()[0]
        raise UsageError(f"{prefix} is not a readable TensorFlow checkpoint ({reason}): copy it here again.") from error


def write(directory: pathlib.Path, params: dict[str, np.ndarray]) -> None:
    """Writes model.data-00000-of-00001, model.index and checkpoint: a bundle of the V2 format with the TF1 names."""
    names = sorted(params)
    with tempfile.TemporaryDirectory(prefix=".model-", dir=directory) as temporary:
        tf.raw_ops.SaveV2(
            prefix=f"{temporary}/{PREFIX}", tensor_names=names, shape_and_slices=[""] * len(names),
            tensors=[tf.constant(params[name]) for name in names],
        )  # fmt: skip
        for suffix in SUFFIXES:
            os.replace(f"{temporary}/{PREFIX}{suffix}", directory / f"{PREFIX}{suffix}")
        pointer = pathlib.Path(temporary) / "checkpoint"
        pointer.write_text(POINTER)
        os.replace(pointer, directory / "checkpoint")


def keep_theirs(directory: pathlib.Path, name: str) -> pathlib.Path:
    """The path to write a result of ours to; what the TF1 program wrote there is kept as <stem>.tf1<suffix>."""
    path = directory / name
    theirs = path.with_name(f"{path.stem}.tf1{path.suffix}")
    if path.exists() and not theirs.exists() and not (directory / "state.npz").exists():
        path.rename(theirs)
        print(f"kept the TF1 program's {path} as {theirs.name}")
    return path


def settings(directory: pathlib.Path) -> dict:
    """The settings of a TF1 run, from the header of its meta_train.log; empty if there is no such file."""
    found = {}
    try:
        header = (directory / "meta_train.log").read_text(errors="replace").split("\n\n")[0]
    except OSError:
        return found
    for name, value in re.findall(r"^(\w+): (.*)$", header, re.MULTILINE):
        try:
            found |= {name: SETTING_TYPES[name](value)} if name in SETTING_TYPES else {}
        except ValueError:
            continue  # a header edited by hand: what cannot be read is not known
    return found


def main(arguments: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    from tf_metadrop import checkpoint  # checkpoint writes through this module

    if len(arguments) != 3 or arguments[0] != "export":
        print("usage: python -m tf_metadrop.tf1 export SAVEDIR OUT", file=sys.stderr)
        return 2
    source, out = map(pathlib.Path, arguments[1:])
    try:
        params, _ = checkpoint.load_params(source)
        if checkpoint.kind(out):
            raise UsageError(f"{out} already holds a checkpoint: give a folder without one.")
        out.mkdir(parents=True, exist_ok=True)
        write(out, {name: w.numpy() for name, w in params.items()})
    except (UsageError, OSError) as error:
        print(f"tf_metadrop.tf1: {error}", file=sys.stderr)
        return 2
    print(f"wrote {len(params)} variables to {out / PREFIX}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
