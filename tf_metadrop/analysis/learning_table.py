"""How runs learned: their accuracy on held-out classes half way and at the end, its falls, and the time to a level."""

import math

from tf_metadrop.config import identity
from tf_metadrop.figures import curves
from tf_metadrop.runs.finished import Run

SPLITS = "meta_val", "meta_test"
LEGEND = (
    "Accuracy in per cent on held-out classes, evaluated during training (metabatch times --n_eval_batches tasks, one "
    "noise sample). half way: the last evaluation in the first half of the iterations. steepest fall: the largest loss "
    "of accuracy between two successive evaluations. level: the accuracy, rounded down, that all comparable runs with "
    "the exact or the tf1 gradient reached. Comparable runs have the same task, method, --n_train_iters, images and "
    "episodes. iterations and hours: when the run first reached this level."
)
HELD_OUT = {"meta_val": "validation", "meta_test": "test"}


def rows(runs: list[Run]) -> list[dict]:
    """Rows of the table, for each `finished.Run` whose log has evaluations on validation classes or test classes."""
    found = [(run, *curve) for run in runs if (curve := held_out(run))]
    return sorted(
        (row(run, split, curve, level(run, found)) for run, split, curve in found),
        key=lambda row: [str(value) for value in row.values()][:5],
    )


def held_out(run: Run) -> tuple[str, dict] | None:
    """The evaluations of a run on held-out classes: (key of HELD_OUT, a curve of `curves.load`); None without any."""
    log = curves.load_any(run.directory)
    return next(((split, log[split]) for split in SPLITS if split in log), None)


def level(run: Run, found: list[tuple[Run, str, dict]]) -> float:
    """The accuracy, in whole per cent, that all comparable runs reached; first order counts only without others."""
    kind = lambda r: (r.task, r.config.method, r.trained_with.get("n_train_iters"))
    comparable = [
        (r, c) for r, _, c in found if kind(r) == kind(run) and identity.comparable(r.trained_with, run.trained_with)
    ]
    second_order = [(r, c) for r, c in comparable if r.gradient != "first"]
    reached = min(max(curve["acc"]) for _, curve in second_order or comparable)
    return math.floor(100 * reached + 1e-6)  # 100 * 0.29 is a little less than 29


def row(run: Run, split: str, curve: dict, level: float) -> dict:
    """The row of a run."""
    accuracies = [100 * accuracy for accuracy in curve["acc"]]
    falls = [before - after for before, after in zip(accuracies, accuracies[1:], strict=False)]
    half_way = max((i for i, iteration in enumerate(curve["iter"]) if 2 * iteration <= curve["iter"][-1]), default=0)
    first = next((i for i, accuracy in enumerate(accuracies) if accuracy >= level), None)
    return {
        "task": run.config.task_name, "method": run.config.method, "gradient": run.gradient,
        "inner_lr": f"{run.config.inner_lr:g}", "seed": run.seed, "classes": HELD_OUT[split],
        "half way": f"{accuracies[half_way]:.2f}", "end": f"{accuracies[-1]:.2f}",
        "best": f"{max(accuracies):.2f}", "steepest fall": f"{max([0.0, *falls]):.2f}",
        "level": level, "iterations": "not" if first is None else curve["iter"][first],
        "hours": "not" if first is None else f"{curve['hours'][first]:.2f}", "run": str(run.directory),
    }  # fmt: skip
