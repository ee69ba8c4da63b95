"""Differences between runs that were tested on the same tasks: what a method, or a meta-gradient, changes."""

import csv
import dataclasses
import pathlib
from typing import NamedTuple, TypeAlias

import numpy as np

from tf_metadrop.analysis import seeds
from tf_metadrop.config import identity
from tf_metadrop.methods import noise
from tf_metadrop.runs.finished import Run
from tf_metadrop.util.interval import interval, plus_minus


class Kind(NamedTuple):
    """What two compared runs may differ in, except the seed."""

    method: str  # without the normalisation
    gradient: str
    normalization: str
    precision: str
    rate: str
    samples: int | None  # of the noise in the test; None if it is not sampled
    tested: str  # the precision of the test

    def but_for(self, **others: str) -> "Kind":
        """This kind with another method and so on, at any rate, however it was tested."""
        return self._replace(rate="", samples=None, tested="", **others)

    def tested_like(self, other: "Kind") -> bool:
        """Whether the tests had as many noise samples, where both sample, and the same precision if the models have."""
        same_samples = None in (self.samples, other.samples) or self.samples == other.samples
        return same_samples and (self.precision != other.precision or self.tested == other.tested)

    def __str__(self) -> str:
        ours = [self.method, self.gradient]
        ours += [value for value in (self.normalization, self.precision) if value not in ("batch", "float32")]
        return ", ".join(ours)


SAME_RATE = "normalization", "precision"  # which are no reason for another inner learning rate
BASES = dict(method="maml", gradient="exact", normalization="batch", precision="float32")  # compared with
BySeed: TypeAlias = dict[int | str, np.ndarray]  # accuracies of every task

OF_TRAINING = tuple(name for name in identity.of_training() if name not in BASES)
LEGEND = (
    "difference: of the second from the first, task by task, averaged over the training seeds that both have; ± half "
    "its 95 % interval over test tasks. with seeds: half the 95 % interval over test tasks and training seeds, by the "
    "standard deviation between seeds that all settings of the task have together. shown: two training seeds or more, "
    "all to the same side, and zero outside the interval with seeds. The two had the same images (in brackets after "
    "the task where most have others), iterations, metabatch and outer learning rate, and their tests as many noise "
    "samples, where both sample; where their inner learning rates differ, lr has both."
)


def accuracies(directory: pathlib.Path, stem: str = "meta_test") -> np.ndarray | None:
    """Accuracy in per cent of every task of a meta-test, [tasks]; None if it was not kept."""
    try:
        with open(directory / f"{stem}.csv", newline="") as file:
            return 100 * np.array([float(row["accuracy"]) for row in csv.DictReader(file)])
    except (FileNotFoundError, KeyError, ValueError):
        return None


def rows(runs: list[Run]) -> list[dict]:
    """Rows of the table: every method against maml, and so on: see BASES.

    Compared are runs of as many iterations that are `identity.comparable`; their inner learning
    rates may differ, and runs of several are compared each for itself.

    Args:
      runs: `finished.Run`s.
    """
    tasks: dict[str, list[Run]] = {}
    for run in runs:
        tasks.setdefault(run.config.task_name, []).append(run)
    found = [row for name, of in tasks.items() for where, same in by_images(of) for row in compared(name + where, same)]
    return sorted(found, key=lambda row: (row["task"], row["of"] != "method", row["second"]))


def by_images(runs: list[Run]) -> list[tuple[str, list[Run]]]:
    """[(what to add to the task's name, runs with the same images)] of a task's runs; the largest adds nothing."""
    groups: list[list[Run]] = []
    for run in runs:
        group = next(
            (
                group
                for group in groups
                if all(identity.same_images(run.trained_with, other.trained_with) for other in group)
            ),
            None,
        )
        if group is None:
            groups.append(group := [])
        group.append(run)
    largest = max(groups, key=len)
    known = lambda group, key: next(filter(None, (run.trained_with.get(key) for run in group)), None)
    named = []
    for group in groups:
        folder = known(group, "data_dir")
        other = folder if folder != known(largest, "data_dir") else f"images {known(group, 'images')}"
        named.append(("" if group is largest else f" ({other})", group))
    return named


def compared(task: str, runs: list[Run]) -> list[dict]:
    """Rows of a task's runs on the same images."""
    groups: dict[tuple, dict[Kind, BySeed]] = {}  # by the test, and the training but for what is compared
    for run in runs:
        each = accuracies(run.directory) if run.test else None
        if run.test is None or each is None or len(each) != run.test["episodes"]:
            continue
        config, trained_with = run.test["config"], run.trained_with
        test = *(config[name] for name in identity.of_test_tasks()), config["metabatch"] > 1 and config.get("episodes")
        training = run.iterations, *(identity.value(trained_with, name) for name in OF_TRAINING)
        key = *test, len(each), trained_with.get("tested_with_images"), *training
        normalization, precision = (trained_with.get(name, BASES[name]) for name in ("normalization", "precision"))
        samples = config.get("n_test_mc_samp") if noise.sampled(run.config.noise_name) else None
        tested = identity.value(config, "precision")
        kind = Kind(method(run), run.gradient, normalization, precision, run.rate, samples, tested)
        groups.setdefault(key, {}).setdefault(kind, {}).setdefault(run.seed, each)
    kinds = [by_seed for group in groups.values() for by_seed in group.values()]
    settings = [np.array([each.mean() for each in by_seed.values()]) for by_seed in kinds]
    found: list[dict] = []
    for _, group in sorted(groups.items(), key=lambda item: str(item[0])):
        for second, tested in group.items():
            for what, value in BASES.items():
                base = second.but_for(**{what: value})
                for first in group if base != second.but_for() else ():
                    same_rate = what not in SAME_RATE or first.rate == second.rate
                    if first.but_for() == base and same_rate and first.tested_like(second):
                        found += row(task, what, (first, second), (group[first], tested), settings)
    return found


def method(run: Run) -> str:
    """Name of its method without the normalisation, with those of its coefficients that are not the defaults."""
    coefficients = identity.coefficients_in_force(run.trained_with)
    others = {name: value for name, value in coefficients.items() if value != identity.DEFAULTS[name]}
    tested = identity.adapted_otherwise(run.trained_with, (run.test or {}).get("config", {}))
    added = [f" ({name} {value:g})" for name, value in others.items()]
    added += [f" (tested with {name} {value})" for name, value in tested.items()]
    return dataclasses.replace(run.config, normalization="batch").method + "".join(added)


def shown(differences: np.ndarray, half: float | None) -> str:
    """What differences [seeds, tasks] show, given half the interval of their mean: see LEGEND."""
    if len(differences) == 1:
        return "one seed"
    sides = set(np.sign(differences.mean(1)))
    return "yes" if half is not None and abs(differences.mean()) > half and len(sides) == 1 else "no"


def row(
    task: str, what: str, kinds: tuple[Kind, Kind], runs: tuple[BySeed, BySeed], settings: list[np.ndarray]
) -> list[dict]:
    """One row; none if the two have no training seed in common.

    Args:
      kinds, runs: the first and the second.
      settings: the accuracies of the seeds of all settings of the task, which say how far seeds move them.
    """
    common = sorted(runs[0].keys() & runs[1].keys(), key=str)
    if not common:
        return []
    first, second = (np.stack([of[seed] for seed in common]) for of in runs)  # [seeds, tasks]
    every = second - first
    between = [seeds.spread(settings, each.mean(1)) for each in (first, second)]
    mean, half = every.mean(0), seeds.half(every, *between)
    return [
        {
            "task": task, "of": what, "first": str(kinds[0]), "second": str(kinds[1]),
            "lr": " / ".join(dict.fromkeys(kind.rate for kind in kinds)),
            "accuracies": f"{first.mean():.2f}, {second.mean():.2f}",
            "difference": plus_minus(mean.mean(), interval(mean), "+.2f"),
            "with seeds": "" if None in between or half is None else f"{half:.2f}",
            "by seed": ", ".join(f"{difference.mean():+.2f}" for difference in every),
            "tasks": len(mean), "shown": shown(every, half),
        }
    ]  # fmt: skip
