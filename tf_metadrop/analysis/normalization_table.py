"""The accuracy of tests that normalise query images by the support images: `--eval_normalization=support`."""

import json
import pathlib
from typing import Any

from tf_metadrop.analysis import paired
from tf_metadrop.config import identity
from tf_metadrop.errors import UsageError
from tf_metadrop.runs.finished import Run
from tf_metadrop.util.interval import interval, plus_minus

FILE = "meta_test_support"
LEGEND = (
    "own: query images are normalised as in training (batch: by the statistics of all query images of a task). "
    "support: they are normalised by the support images, so that no answer depends on other query images. difference: "
    "support minus own, task by task, on the same tasks with the same weights; ± half the 95 % interval over tasks."
)


def rows(runs: list[Run]) -> list[dict]:
    """A row for each run that was tested in both ways on the same tasks."""
    found = []
    for run in runs:
        by_support = tested(run.directory)
        if run.test is None or by_support is None or not comparable(run.test, by_support):
            continue
        own, other = (paired.accuracies(run.directory, stem) for stem in ("meta_test", FILE))
        if own is None or other is None or len(own) != len(other):
            continue
        found.append(
            {
                "task": run.config.task_name, "method": run.config.method, "gradient": run.gradient, "seed": run.seed,
                "own": plus_minus(run.test["accuracy"], run.test["interval"]),
                "support": plus_minus(by_support["accuracy"], by_support["interval"]),
                "difference": plus_minus((other - own).mean(), interval(other - own), "+.2f"),
                "tasks": len(own), "run": str(run.directory),
            }
        )  # fmt: skip
    return sorted(found, key=lambda row: (row["task"], row["method"], row["gradient"], row["seed"]))


def tested(directory: pathlib.Path) -> dict[str, Any] | None:
    """The result of a test that normalises by the support images; None if there is none.

    Raises:
      UsageError: the file is broken.
    """
    path = directory / f"{FILE}.json"
    try:
        found = json.loads(path.read_text())
        return found if {"accuracy", "interval", "config"} <= found.keys() else None
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError) as error:
        raise UsageError(f"{path} is not what --mode=meta_test writes ({error}): run that again.") from error


def comparable(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two tests of a savedir, as meta_test.json has them, had the same weights, images, tasks and noise."""
    tasks = *identity.of_test_tasks(), "n_test_mc_samp", "n_test_iters", "inner_lr", "way", "shot", "precision"
    same = lambda of, names: all(one[of].get(name) == other[of].get(name) for name in names)
    weights = [test.get("trained_with", {}).get("iteration") for test in (one, other)]
    if None not in weights and weights[0] != weights[1]:
        return False
    images = [test.get("trained_with", {}).get("tested_with_images") for test in (one, other)]
    return images[0] == images[1] and same("config", tasks)
