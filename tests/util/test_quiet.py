"""The first import of TensorFlow."""

import contextlib
import os
import subprocess
import sys

from tests.helpers.runs import ROOT
from tf_metadrop.util import quiet


def test_what_is_held_back_is_shown_where_it_fails(capfd):
    for fail in (False, True):
        with contextlib.suppress(ValueError), quiet.quiet():
            os.write(2, b"chatter\n")
            if fail:
                raise ValueError
        assert capfd.readouterr().err == ("chatter\n" if fail else "")


def test_programs_import_no_keras_and_leave_it_to_the_user():
    code = (
        "import sys; from tf_metadrop.util import quiet\n"
        "with quiet.importing_tensorflow():\n    import tensorflow as tf\n"
        "assert 'keras' not in sys.modules\n"
        "from tensorflow.keras import layers\n"
        "layers.Dense(1)(tf.ones([1, 1]))\n"
        "assert tf.keras.layers is layers"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
