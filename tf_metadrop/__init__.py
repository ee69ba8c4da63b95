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
from typing import TYPE_CHECKING, Any

from tf_metadrop.util import environment

if TYPE_CHECKING:  # so that type checkers and editors know the names
    from tf_metadrop.algorithm.repeatable import check_repeatable as check_repeatable
    from tf_metadrop.config.config import Config as Config
    from tf_metadrop.errors import UsageError as UsageError
    from tf_metadrop.methods import adversary as adversary
    from tf_metadrop.methods import attack as attack
    from tf_metadrop.methods import attack_variant as attack_variant
    from tf_metadrop.methods import inner as inner
    from tf_metadrop.methods import meta_optimizer as meta_optimizer
    from tf_metadrop.methods import metric as metric
    from tf_metadrop.methods import noise as noise
    from tf_metadrop.methods import regularizer as regularizer
    from tf_metadrop.modes.attack import attack_model as attack_model
    from tf_metadrop.modes.evaluate import meta_test as meta_test
    from tf_metadrop.modes.export import export_features as export_features
    from tf_metadrop.modes.learner import MetaLearner as MetaLearner
    from tf_metadrop.modes.train import meta_train as meta_train
    from tf_metadrop.nn import backbones as backbones
    from tf_metadrop.nn import normalization as normalization

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


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    environment.prefer_onednn()
    if name in _REGISTRIES:
        return importlib.import_module(_REGISTRIES[name])
    return getattr(importlib.import_module(_HOMES[name]), name)
