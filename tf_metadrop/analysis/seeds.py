"""Intervals that know of training seeds as well as of test tasks.

Two or three seeds of one setting say little about how far a seed moves it. All settings of a task say it together: the
variance between seeds is averaged over them (the pooled variance), and Student's t with its degrees of freedom gives
the interval. This assumes that a seed moves each of them by as much. A setting is left out, and has at least its own
deviation, if it is far from the others, as one that hardly learns, or if its seeds differ far more than those of the
others (Cochran's C test: ISO 5725-2:1994, 7.3.3). Its interval is wide then: its own seeds are few.
"""

import pathlib
import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import numpy as np

from tf_metadrop.config import identity
from tf_metadrop.config.setting import Role
from tf_metadrop.runs.finished import Run
from tf_metadrop.util.interval import interval

SEED = re.compile(r"_seed\d+$")
NEAR = 10.0  # points from the median accuracy, within which settings are pooled
LEVEL = 0.01  # of Cochran's test


class Spread(NamedTuple):
    """How far training seeds move the accuracy of a setting."""

    deviation: float  # standard deviation between seeds, in points
    freedom: int  # degrees of freedom that it was estimated with

    @property
    def half(self) -> float:
        """Half the 95 % interval of one seed."""
        from scipy import stats

        return float(stats.t.ppf(0.975, self.freedom) * self.deviation)


def spread(settings: Collection[np.ndarray], own: np.ndarray | None = None) -> Spread | None:
    """The pooled standard deviation between seeds; None if no setting has two.

    Args:
      settings: for each setting the accuracies of its seeds, [seeds], in points. Those within NEAR of the median are
        pooled, without the unsteady ones.
      own: the same of the setting that it is for. One that is not like the pooled has its own, if that is larger.
    """
    several = [each for each in settings if len(each) > 1]
    if not several:
        return None
    median = np.median([each.mean() for each in several])
    pool = steady([each for each in several if abs(each.mean() - median) <= NEAR] or several)
    unlike = lambda each: abs(each.mean() - median) > NEAR or unsteady(each, pool, len(pool) + 1)
    common = Spread(pooled(pool), degrees(pool))
    if own is None or len(own) < 2 or not unlike(own):
        return common
    return max(common, Spread(float(own.std(ddof=1)), len(own) - 1), key=lambda each: each.half)


def steady(settings: list[np.ndarray]) -> list[np.ndarray]:
    """The settings without those whose variance between seeds is far larger than that of the others."""
    rest = settings
    while len(rest) > 2:
        largest = max(range(len(rest)), key=lambda i: rest[i].var(ddof=1))
        others = rest[:largest] + rest[largest + 1 :]
        if not unsteady(rest[largest], others, len(rest)):
            break
        rest = others
    return rest


def unsteady(one: np.ndarray, others: Collection[np.ndarray], count: int) -> bool:
    """Whether the variance of one, the largest of `count`, is larger than that of the others: Cochran's test."""
    from scipy import stats

    # Cochran's critical value, as one of Fisher's F.
    ratio = stats.f.isf(LEVEL / count, len(one) - 1, degrees(others))
    return bool(one.var(ddof=1) > ratio * pooled(others) ** 2)


def pooled(settings: Collection[np.ndarray]) -> float:
    """The standard deviation between seeds that settings have in common, in points."""
    return float(np.sqrt(sum(len(each) * each.var() for each in settings) / degrees(settings)))


def degrees(settings: Collection[np.ndarray]) -> int:
    """The degrees of freedom of `pooled`."""
    return sum(len(each) - 1 for each in settings)


def settings(runs: Iterable[Run]) -> dict[str, np.ndarray]:
    """{`name_of` a run: accuracies of its seeds} of tested runs."""
    found: dict[str, list[float]] = {}
    for run in runs:
        if run.test:
            found.setdefault(name_of(run.directory), []).append(run.test["accuracy"])
    return {name: np.array(each) for name, each in found.items()}


def of_settings(runs: Iterable[Run]) -> list[np.ndarray]:
    """The accuracies of the seeds of each setting, whatever the names of the folders; of a copied run one counts."""
    found: dict[str, dict[Any, float]] = {}
    for run in runs:
        if run.test is None:
            continue
        test = run.test["config"]
        trained = [identity.value(run.trained_with, name) for name in ("data_dir", *identity.of_settings())]
        tested = [identity.value(test, name) for name in (*identity.names(Role.EVALUATION), *identity.of_test_tasks())]
        key = str([run.config.method, run.iterations, run.config.inner_lr, trained, tested])
        found.setdefault(key, {}).setdefault(run.seed, run.test["accuracy"])
    return [np.array([*by_seed.values()]) for by_seed in found.values()]


def name_of(directory: pathlib.Path) -> str:
    """The name of a setting: the last two folders, without the seed, as "omniglot_5way1shot/maml_exact"."""
    return SEED.sub("", "/".join(directory.resolve().parts[-2:]))


def half(by_task: np.ndarray, *between: Spread | None) -> float | None:
    """Half the 95 % interval of the mean, over tasks and, where their spread is known, over seeds.

    Args:
      by_task: accuracies, or differences of two models, of every seed and task, [seeds, tasks], in points.
      between: of the accuracies of the model, or of each of the two models, which are independent. Where that of one is
        not known, the other's is taken.
    Returns:
      None: one task has no interval.
    """
    of_tasks, known = interval(by_task.mean(0)), [each for each in between if each]
    if of_tasks is None or not known:
        return of_tasks
    variance = np.mean([each.half**2 for each in known]) * len(between) / len(by_task)
    return float(np.hypot(of_tasks, variance**0.5))
