"""Shared by all tests: TensorFlow is kept quiet, and W&B out."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["WANDB_MODE"] = "disabled"
os.environ.pop("WANDB_API_KEY", None)


def pytest_addoption(parser):
    """How long the tests of faults take."""
    parser.addoption("--kills", type=int, default=3, help="times that tests/faults kills a run")
    parser.addoption("--fault_seed", type=int, default=0, help="of the instants and the bits")
