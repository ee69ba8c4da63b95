"""Meta Dropout (Lee et al., ICLR 2020) in TensorFlow 2: the same numbers as the TF1 program, and more.

From Python: `Config`, `meta_train`, `meta_test`, `export_features`, `attack_model`, `MetaLearner`, and the registries
`backbones`, `normalization`, `noise`, `inner`, `regularizer`, `adversary`, `attack`, `meta_optimizer` and `metric`,
each with `register(name, method)`. They are imported when first used, so that flags, data preparation and errors do not
wait for TensorFlow. Everything else may move.

The rooms, from the roof down; each imports from those below it only:

  cli          command lines
  modes        what one run can be asked to do: train, test, export, attack, compare, replay; and `MetaLearner`
  experiments  which runs there are: published settings, sweeps
  analysis     many finished runs to tables and pages
  figures      arrays to pictures
  runs         what a savedir holds: its file names and formats
  algorithm    the paper: inner loop, outer loop, the compiled steps, how they are spread over devices
  config       settings and their rules; the absl flags made from them
  methods      one file for each value of a method's flag
  nn           tensors in, tensors out: layers, randomness, backbones, normalisation
  data         NumPy only: sources, splits, episodes
  util         knows nothing of meta-learning
  errors       the ground
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
    **{
        name: f"tf_metadrop.methods.{name}"
        for name in ("noise", "inner", "regularizer", "adversary", "attack", "meta_optimizer", "metric")
    },
}
__all__ = [*_HOMES, *_REGISTRIES]


def __getattr__(name: str) -> Any:
    if name in _REGISTRIES:
        return importlib.import_module(_REGISTRIES[name])
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
