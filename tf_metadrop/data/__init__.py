"""Data sets, their files, and the episodes drawn from them; with NumPy only, so that nothing loads TensorFlow."""

from tf_metadrop.data.episodes import draw
from tf_metadrop.data.fingerprint import fingerprint
from tf_metadrop.data.sources import load_split
from tf_metadrop.data.spec import DATASETS, SPLITS, DatasetSpec, get_spec

__all__ = ["DATASETS", "SPLITS", "DatasetSpec", "draw", "fingerprint", "get_spec", "load_split"]
