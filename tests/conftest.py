"""Shared by all tests: TensorFlow is kept quiet and on the CPU, W&B out, and the tests of faults are marked."""

import ctypes
import gc
import os
import pathlib
import sys

import pytest

from tf_metadrop.util import environment

environment.prefer_onednn()  # as the programs do
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["WANDB_MODE"] = "disabled"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # the tests are of a CPU; two processes would share a GPU's memory
os.environ.pop("WANDB_API_KEY", None)


def pytest_addoption(parser):
    """How long the tests of faults take."""
    parser.addoption("--kills", type=int, default=3, help="times that tests/faults kills a run")
    parser.addoption("--fault_seed", type=int, default=0, help="of the instants and the bits")


def pytest_collection_modifyitems(items):
    """Marks everything in tests/faults."""
    faults = pathlib.Path(__file__).parent / "faults"
    for item in items:
        if faults in item.path.parents:
            item.add_marker("fault")


def gradients():
    """TensorFlow's table of those that tf.custom_gradient made in graphs, all of which it keeps for ever."""
    ops = sys.modules.get("tensorflow.python.framework.ops")
    return ops.gradient_registry._registry if ops else {}


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_kept(request):
    """What a module's tests share, compiled graphs first of all, goes when they are done: it is gigabytes."""
    before = set(gradients())
    yield
    for name in set(gradients()) - before:
        del gradients()[name]
    for value in list(vars(request.module).values()):
        if hasattr(value, "cache_clear"):
            value.cache_clear()
    gc.collect()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):  # glibc's
        trim(0)  # or the allocator keeps most of it
