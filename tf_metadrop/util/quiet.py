"""TensorFlow's first import: without its chatter, and without Keras."""

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Holds back what C++ libraries write to stderr, and prints it only if an exception leaves the block.

    TensorFlow writes some lines while it is imported and looks for devices, before its own log level counts.
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
    """For the first import of TensorFlow: `quiet`, and without Keras, which is two fifths of the time it takes.

    TensorFlow imports Keras if it is installed, and nothing of it is used here. `tf.keras` and `import
    tensorflow.keras` still load it.
    """
    modules: Any = sys.modules
    absent = modules.setdefault("keras", None) is None  # so that to import it is an ImportError
    try:
        with quiet():
            yield
    finally:
        if absent:
            sys.modules.pop("keras", None)
            if "tensorflow" in sys.modules and (keras := importlib.util.find_spec("keras")) and keras.origin:
                folder = os.path.join(os.path.dirname(keras.origin), "_tf_keras")  # where TensorFlow looks for it
                modules["tensorflow"].__path__.insert(0, folder)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Drops what Python code prints."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield
