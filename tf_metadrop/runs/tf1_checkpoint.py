"""Reads and writes checkpoints in the TF1 program's format (docs/reference/tf1_behaviour.md, "Files it writes")."""

import contextlib
import errno
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator

import numpy as np

from tf_metadrop.errors import UsageError
from tf_metadrop.util import text

PREFIX = "model"
SUFFIXES = ".data-00000-of-00001", ".index"  # in the order of writing: the index names the data
POINTER = f'model_checkpoint_path: "{PREFIX}"\nall_model_checkpoint_paths: "{PREFIX}"\n'


def find(directory: pathlib.Path) -> str | None:
    """The prefix of the TF1 checkpoint in a folder, or None.

    The prefix is `model`; otherwise the one that the file `checkpoint` names, whatever folder it gives; otherwise the
    only one in the folder.

    Raises:
      UsageError: `checkpoint` is not a text, or there are several prefixes and it names none of them.
    """
    if (directory / f"{PREFIX}.index").exists():
        return str(directory / PREFIX)
    names = sorted(path.name.removesuffix(".index") for path in directory.glob("*.index")) if directory.is_dir() else []
    pointer = directory / "checkpoint"
    content = text.read(pointer) if pointer.is_file() else ""
    named = re.search(r'^model_checkpoint_path:\s*"(.*)"', content, re.MULTILINE)
    last = re.split(r"[/\\]+", named[1])[-1] if named else None  # the rest is the path of the folder it was written in
    if last in names or len(names) == 1:
        return str(directory / (last if last in names else names[0]))
    if names:
        raise UsageError(
            f"{directory} holds several checkpoints ({', '.join(names)}), and no file `checkpoint` that names one of "
            "them: keep only one of them there."
        )
    return None


@contextlib.contextmanager
def plainly_named(prefix: str) -> Iterator[str]:
    """Gives the files of a checkpoint a plain prefix, because TensorFlow reads [, * and ? in a path as a pattern."""
    folder, name = pathlib.Path(prefix).absolute().parent, pathlib.Path(prefix).name
    with tempfile.TemporaryDirectory() as temporary:
        for path in folder.iterdir():
            if path.name.startswith(f"{name}."):
                link = pathlib.Path(temporary, f"{PREFIX}{path.name.removeprefix(name)}")
                try:
                    link.symlink_to(path)
                except OSError:  # a file system without links, or Windows
                    shutil.copyfile(path, link)
        yield f"{temporary}/{PREFIX}"


def read(directory: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads all float variables of the TF1 checkpoint in a folder, by name.

    Raises:
      UsageError: there is no checkpoint, or it is broken.
    """
    import tensorflow as tf  # imported here and below, because the command line silences its messages first

    prefix = find(directory)
    if prefix is None:
        raise UsageError(f"{directory} holds no checkpoint (model.index): give the savedir of a trained run.")
    try:
        with plainly_named(prefix) as plain:
            reader = tf.train.load_checkpoint(plain)
            kinds = reader.get_variable_to_dtype_map()
            return {name: reader.get_tensor(name) for name, kind in kinds.items() if kind == tf.float32}
    except (tf.errors.OpError, IndexError, ValueError, RuntimeError) as error:  # as the reader raises them
        reason = str(error).splitlines()[0].replace(plain, prefix)
        raise UsageError(f"{prefix} is not a readable TensorFlow checkpoint ({reason}): copy it here again.") from error


def write(directory: pathlib.Path, params: dict[str, np.ndarray]) -> None:
    """Writes model.data-00000-of-00001, model.index and checkpoint: a bundle of the V2 format with the TF1 names.

    Raises:
      OSError: the files cannot be written; the old files are unchanged.
    """
    import tensorflow as tf

    names, temporary = sorted(params), directory / ".model.tmp"
    shutil.rmtree(temporary, ignore_errors=True)  # left by a killed run
    temporary.mkdir()
    tensors = [tf.constant(params[name], tf.float32) for name in names]
    try:
        tf.raw_ops.SaveV2(
            prefix=f"{temporary}/{PREFIX}", tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors
        )
        (temporary / "checkpoint").write_text(POINTER)
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise
        reason = str(error).split(" [Op:")[0].rsplit("; ", 1)[-1].splitlines()[0]
        raise OSError(errno.EIO, reason, str(directory / PREFIX)) from error
    for name in (*(f"{PREFIX}{suffix}" for suffix in SUFFIXES), "checkpoint"):
        os.replace(temporary / name, directory / name)
    temporary.rmdir()


def keep_theirs(path: pathlib.Path, ours: pathlib.Path) -> None:
    """Renames a result of the TF1 program to <stem>.tf1<suffix>; if the file `ours` exists, it keeps the result."""
    theirs = path.with_name(f"{path.stem}.tf1{path.suffix}")
    if path.exists() and not ours.exists() and not theirs.exists():  # after it was kept, a new file is ours
        path.rename(theirs)
        print(f"kept the TF1 program's {path} as {theirs.name}")


def header(log: str) -> dict[str, str]:
    """The settings in a meta_train.log: those of its first lines, with the changes of resumed runs."""
    found = dict(re.findall(r"^(\w+): (.*)$", log.split("\n\n")[0], re.MULTILINE))
    for changes in re.findall(r"^(?:Resumes|Goes on) from iteration \d+: (.*)$", log, re.MULTILINE):  # older: Goes on
        found |= dict(re.findall(r"(\w+) \S+ -> (\S+?)(?:,|$)", changes))
    return found


def settings(directory: pathlib.Path) -> dict:
    """The settings of a TF1 run, or of a run of this program without its state, from its meta_train.log.

    The dict is empty if there is no such file. It lacks the settings that the log's header does not have: the TF1
    program writes only a few. A header with a noise type but without a variant is of the reproducibility report's
    program.
    """
    from tf_metadrop.config import config
    from tf_metadrop.methods import noise

    try:
        texts = header(text.read(directory / "meta_train.log", lenient=True))
    except UsageError:
        return {}
    if texts.get("maml") == "True" or texts.get("noise_type") == "maml":  # either flag makes it MAML
        texts |= dict(maml="True", noise_type="maml")
    if texts.get("noise_type") not in (None, "maml", "metadrop") and texts["noise_type"] in noise.reported():
        texts.setdefault("noise_variant", "report")
    return config.of_texts(texts)
