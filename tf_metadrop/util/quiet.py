"""Imports TensorFlow without its messages and without Keras."""

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from tf_metadrop.util import environment


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Captures what C++ libraries write to stderr, and prints it only if the block raises an exception.

    TensorFlow writes some lines while it is imported and searches for devices, before its own log level has an effect.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextlib.contextmanager
def importing_tensorflow() -> Iterator[None]:
    """A context manager for TensorFlow's first import: `quiet`, with oneDNN, and without Keras.

    Keras takes two fifths of the time. TensorFlow imports it if it is installed, but nothing of it is used here.
    `tf.keras` and `import tensorflow.keras` still load it. oneDNN: see `environment.prefer_onednn`.
    """
    environment.prefer_onednn()
    modules: Any = sys.modules
    absent = modules.setdefault("keras", None) is None  # an import of it then raises ImportError
    try:
        with quiet():
            yield
    finally:
        if absent:
            sys.modules.pop("keras", None)
            if "tensorflow" in sys.modules and (keras := importlib.util.find_spec("keras")) and keras.origin:
                folder = os.path.join(os.path.dirname(keras.origin), "_tf_keras")  # TensorFlow searches for it there
                modules["tensorflow"].__path__.insert(0, folder)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """A context manager that discards what Python code prints."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield
