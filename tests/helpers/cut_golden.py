"""Cuts the TF 1.12 program's outputs down to what the tests need: python tests/helpers/cut_golden.py FOLDER_OF_CASES

Initial weights and episodes are re-made from their seeds (golden_case.py), so only results are kept; of the large
arrays (gradients, weights after Adam) a fixed random choice of entries, together with the norm of the whole.
"""

import json
import pathlib
import sys

import numpy as np

ENTRIES = 2048
COMPARABLE_ADAM = ("mimgnet_5way1shot_metadrop_2", "omniglot_5way5shot_metadrop_2")


def entries(size: int) -> np.ndarray:
    """The entries of a flattened array of this size that are kept."""
    return np.arange(size) if size <= ENTRIES else np.sort(np.random.RandomState(size).choice(size, ENTRIES, False))


def cut(case: pathlib.Path, out: pathlib.Path) -> None:
    kept = {"config": json.dumps(json.loads((case / "config.json").read_text()))}
    with np.load(case / "golden.npz") as golden:
        for name in golden.files:
            value = golden[name]
            if name.startswith("adam/final") and case.name not in COMPARABLE_ADAM:
                continue
            if name.startswith(("grad_", "adam/final")):
                kept[f"norm/{name}"] = np.linalg.norm(value.astype(np.float64))
                value = value.ravel()[entries(value.size)]
            kept[name] = value
    np.savez_compressed(out / f"{case.name}.npz", **kept)


if __name__ == "__main__":
    here = pathlib.Path(__file__).parents[1] / "golden"
    for config in sorted(pathlib.Path(sys.argv[1]).glob("*/config.json")):
        cut(config.parent, here)
