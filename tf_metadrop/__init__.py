"""Meta Dropout (Lee et al., ICLR 2020) in TensorFlow 2: the same numbers as the TF1 program, and more.

From Python: `Config`, `meta_train`, `meta_test`, `export_features`, `attack_model`, `MetaLearner`. They are imported
when first used, so that flags, data preparation and errors do not wait for TensorFlow.
"""

import importlib

_HOMES = {
    "Config": "tf_metadrop.config",
    "UsageError": "tf_metadrop.errors",
    "MetaLearner": "tf_metadrop.learner",
    "meta_train": "tf_metadrop.train",
    "meta_test": "tf_metadrop.evaluate",
    "export_features": "tf_metadrop.export",
    "attack_model": "tf_metadrop.robustness",
}
__all__ = list(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
