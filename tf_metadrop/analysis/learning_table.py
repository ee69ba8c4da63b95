"""How runs learned: accuracy on held-out classes half way and at the end, how steadily, and how soon."""

import math

from tf_metadrop.config import identity
from tf_metadrop.figures import curves
from tf_metadrop.runs.finished import Run

SPLITS = "meta_val", "meta_test"
LEGEND = (
    "Accuracy in per cent on held-out classes, evaluated while training (metabatch times --n_eval_batches tasks, one "
    "noise sample). steepest fall: between two evaluations in a "
    "row. level: what every run of its task, method and --n_train_iters that is comparable (same images, episodes and "
    "the like) reached by the exact and the tf1 gradient, rounded down; after the iterations and hours beside it the "
    "run was there for the first time."
)
HELD_OUT = {"meta_val": "validation", "meta_test": "test"}


def rows(runs: list[Run]) -> list[dict]:
    """Rows of the table, for the `finished.Run`s whose log has evaluations on validation or else test classes."""
    found = []
    for run in runs:
        log = curves.load_any(run.directory)
        if split := next((split for split in SPLITS if split in log), None):
            found.append((run, split, log[split]))
    return sorted(
        (row(run, split, curve, level(run, found)) for run, split, curve in found),
        key=lambda row: [str(value) for value in row.values()][:5],
    )


def level(run: Run, found: list[tuple[Run, str, dict]]) -> float:
    """The accuracy, in whole per cent, that all such runs of this method reached, first order aside."""
    kind = lambda r: (r.task, r.config.method, r.trained_with.get("n_train_iters"))
    alike = [
        (r, c) for r, _, c in found if kind(r) == kind(run) and identity.comparable(r.trained_with, run.trained_with)
    ]
    second_order = [(r, c) for r, c in alike if r.gradient != "first"]
    reached = min(max(curve["acc"]) for _, curve in second_order or alike)
    return math.floor(100 * reached + 1e-6)  # 100 * 0.29 is a little less than 29


def row(run: Run, split: str, curve: dict, level: float) -> dict:
    """One row."""
    accuracies = [100 * accuracy for accuracy in curve["acc"]]
    falls = [before - after for before, after in zip(accuracies, accuracies[1:], strict=False)]
    first = next((i for i, accuracy in enumerate(accuracies) if accuracy >= level), None)
    return {
        "task": run.config.task_name, "method": run.config.method, "gradient": run.gradient,
        "inner_lr": f"{run.config.inner_lr:g}", "seed": run.seed, "classes": HELD_OUT[split],
        "half way": f"{accuracies[(len(accuracies) - 1) // 2]:.2f}", "end": f"{accuracies[-1]:.2f}",
        "best": f"{max(accuracies):.2f}", "steepest fall": f"{max([0.0, *falls]):.2f}",
        "level": level, "iterations": "not" if first is None else curve["iter"][first],
        "hours": "not" if first is None else f"{curve['hours'][first]:.2f}", "run": str(run.directory),
    }  # fmt: skip
