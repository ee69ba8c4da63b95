"""What the environment says is heeded."""

import errno
import os
import platform
import subprocess
import sys

import filelock
import pytest
import tensorflow as tf

from tf_metadrop import Config, UsageError
from tf_metadrop.algorithm import execution
from tf_metadrop.util import environment, lock


def test_a_gpu_beyond_those_that_are_visible_is_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(UsageError, match="--gpu_id=3 counts within CUDA_VISIBLE_DEVICES=3.* at most 0"):
        environment.visible_gpus(3, 1)


def test_the_log_level_is_the_user_s(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    environment.before_tensorflow(-1)
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    environment.before_tensorflow(-1)
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="elsewhere TensorFlow decides")
@pytest.mark.parametrize(
    "imported", ["tf_metadrop.Config", "tf_metadrop.noise", "quiet.importing_tensorflow().__enter__()"]
)
@pytest.mark.parametrize("given", [None, "0"])
def test_tensorflow_convolves_by_onednn_unless_told_otherwise(imported, given):
    code = (
        f"import tf_metadrop; from tf_metadrop.util import quiet; {imported}\n"
        "from tensorflow.python.util import _pywrap_util_port; print(_pywrap_util_port.IsMklEnabled())"
    )
    variables = {name: value for name, value in os.environ.items() if name != environment.ONEDNN}
    variables |= {environment.ONEDNN: given} if given else {}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=variables, check=True, text=True, stdout=subprocess.PIPE
    ).stdout
    assert answer == f"{given is None}\n"


@pytest.mark.parametrize(
    ("variables", "mode", "intra", "inter"),
    [
        ({}, "meta_train", None, None),
        ({}, "meta_test", 2, 4),
        ({"OMP_NUM_THREADS": "3"}, "meta_train", 3, None),
        ({"OMP_NUM_THREADS": "3,2"}, "meta_test", 1, 3),
        ({"OMP_NUM_THREADS": "64"}, "meta_test", 2, 4),  # no more than there are
        ({"OMP_NUM_THREADS": "none"}, "meta_train", None, None),
        ({"TF_NUM_INTRAOP_THREADS": "5"}, "meta_test", None, 4),
        ({"TF_NUM_INTEROP_THREADS": "5", "TF_NUM_INTRAOP_THREADS": "1"}, "meta_test", None, None),
        ({"OMP_NUM_THREADS": "3", "TF_NUM_INTRAOP_THREADS": "5"}, "meta_train", None, None),
    ],
)
def test_threads(variables, mode, intra, inter, monkeypatch):
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    asked = {}
    monkeypatch.setattr(tf.config.threading, "set_intra_op_parallelism_threads", lambda n: asked.update(intra=n))
    monkeypatch.setattr(tf.config.threading, "set_inter_op_parallelism_threads", lambda n: asked.update(inter=n))
    execution.prepare(Config(dataset="strokes", mode=mode))
    assert (asked.get("intra"), asked.get("inter")) == (intra, inter)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOLCK, "No locks available"),
        OSError(errno.EOPNOTSUPP, "Operation not supported"),
        OSError(errno.ENOSYS, "Function not implemented"),
        NotImplementedError("FileSystem does not appear to support flock"),
    ],
)
def test_a_file_system_without_locks_is_worked_on_with_a_warning(error, tmp_path, monkeypatch, capsys):
    def acquire(*_, **__):
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    with lock.held(tmp_path, "meta_train"):
        pass
    assert "is on a file system without locks" in capsys.readouterr().err


def test_what_is_no_lack_of_locks_is_refused(tmp_path, monkeypatch):
    def acquire(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    with pytest.raises(UsageError, match=r"cannot be written to \(Read-only file system\)"), lock.held(tmp_path, "x"):
        pass
    monkeypatch.undo()
    with (
        lock.held(tmp_path, "meta_train"),
        pytest.raises(UsageError, match="another process runs"),
        lock.held(tmp_path, "meta_train"),
    ):
        pass
