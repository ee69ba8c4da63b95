"""Meta Dropout (Lee et al., ICLR 2020) in TensorFlow 2: the same numbers as the TF1 program, and more.

The public names are `Config`, `UsageError`, `MetaLearner`, `meta_train`, `meta_test`, `export_features`,
`attack_model` and `check_repeatable`, and the registries `backbones`, `normalization`, `noise`, `inner`, `regularizer`,
`adversary`, `attack`, `attack_variant`, `meta_optimizer` and `metric`, each with `register(name, method)`. They are
imported at their first use, so that flags, data preparation and errors do not wait for TensorFlow. All other names may
change.

The package consists of rooms. Each room imports only from the rooms below it:

  cli          command lines
  modes        the modes of a run: train, test, export, attack, compare, replay; and `MetaLearner`
  experiments  definitions of runs: published settings, sweeps
  analysis     tables and pages from many finished runs
  figures      pictures from arrays
  runs         the files of a savedir: their names and formats
  algorithm    the paper's algorithm: inner loop, outer loop, compiled steps, several devices
  config       settings and their rules, and the absl flags made from them
  methods      one file for each value of a method's flag
  nn           computations on tensors: layers, random numbers, backbones, normalisations
  data         data sets, splits and episodes, with NumPy only
  util         helpers that have nothing to do with meta-learning
  errors       the error class that all rooms use
"""

import importlib
from typing import Any

__version__ = "1.0.0"

_HOMES = {
    "Config": "tf_metadrop.config.config",
    "UsageError": "tf_metadrop.errors",
    "MetaLearner": "tf_metadrop.modes.learner",
    "meta_train": "tf_metadrop.modes.train",
    "meta_test": "tf_metadrop.modes.evaluate",
    "export_features": "tf_metadrop.modes.export",
    "attack_model": "tf_metadrop.modes.attack",
    "check_repeatable": "tf_metadrop.algorithm.repeatable",
}
_REGISTRIES = {
    **{name: f"tf_metadrop.nn.{name}" for name in ("backbones", "normalization")},
    **{name: f"tf_metadrop.methods.{name}" for name in ("noise", "inner", "regularizer", "adversary")},
    **{name: f"tf_metadrop.methods.{name}" for name in ("attack", "attack_variant", "meta_optimizer", "metric")},
}
__all__ = [*_HOMES, *_REGISTRIES]


def __getattr__(name: str) -> Any:
    if name in _REGISTRIES:
        return importlib.import_module(_REGISTRIES[name])
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
