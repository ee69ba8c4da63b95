"""Intervals that know of training seeds as well as of test tasks.

Two or three seeds of one setting say little about how far a seed moves it. All settings of a task say it together: the
variance between seeds is averaged over them (the pooled variance), and Student's t with its degrees of freedom gives
the interval. What the settings share is the assumption that a seed moves each of them by as much.
"""

import pathlib
import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tf_metadrop.runs.finished import Run
from tf_metadrop.util.interval import interval

SEED = re.compile(r"_seed\d+$")


class Spread(NamedTuple):
    """How far training seeds move the accuracy of a setting."""

    deviation: float  # standard deviation between seeds, in points
    freedom: int  # degrees of freedom that it was estimated with


def spread(settings: Iterable[np.ndarray]) -> Spread | None:
    """The pooled standard deviation between seeds; None if no setting has two.

    Args:
      settings: for each setting the accuracies of its seeds, [seeds], in points.
    """
    several = [each for each in settings if len(each) > 1]
    freedom = sum(len(each) - 1 for each in several)
    if not freedom:
        return None
    return Spread(float(np.sqrt(sum(len(each) * each.var() for each in several) / freedom)), freedom)


def of_runs(runs: Iterable[Run]) -> Spread | None:
    """`spread` of tested runs; those with the same `name_of` their folder are the seeds of one setting."""
    settings: dict[str, list[float]] = {}
    for run in runs:
        if run.test:
            settings.setdefault(name_of(run.directory), []).append(run.test["accuracy"])
    return spread(np.array(each) for each in settings.values())


def name_of(directory: pathlib.Path) -> str:
    """The name of a setting: the last two folders, without the seed, as "omniglot_5way1shot/maml_exact"."""
    return SEED.sub("", "/".join(directory.resolve().parts[-2:]))


def half(by_task: np.ndarray, between: Spread | None, models: int = 1) -> float | None:
    """Half the 95 % interval of the mean, over tasks and, where their spread is known, over seeds.

    Args:
      by_task: accuracies, or differences of two models, of every seed and task, [seeds, tasks], in points.
      between: of one model's accuracies.
      models: 1 for an accuracy, 2 for a difference of two independent models.
    Returns:
      None: one task has no interval.
    """
    from scipy import stats

    of_tasks = interval(by_task.mean(0))
    if of_tasks is None or between is None:
        return of_tasks
    of_seeds = stats.t.ppf(0.975, between.freedom) * between.deviation * (models / len(by_task)) ** 0.5
    return float(np.hypot(of_tasks, of_seeds))
