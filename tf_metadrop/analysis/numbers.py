"""The numbers that a results page asks for, by the names of the runs' folders: see pages.py.

A name is `task/label`, as `omniglot_5way1shot/maml_exact`: the last two folders of a run, without the `_seed0` of
the training seed. A name means every run of that name, one for each seed.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tf_metadrop.analysis import learning_table, paired, published, seeds, theirs
from tf_metadrop.config import identity
from tf_metadrop.errors import UsageError
from tf_metadrop.figures import robustness, style
from tf_metadrop.runs.finished import Run
from tf_metadrop.util.interval import plus_minus

TASK = re.compile(r"(\w+) (\d+)-way (\d+)-shot")
SIDES: dict[str, Callable[[float, float], bool]] = {
    "+": lambda mean, half: mean > half,
    "-": lambda mean, half: mean < -half,
    "0": lambda mean, half: abs(mean) <= half,
    "": lambda mean, half: True,
}


class Numbers:
    """Numbers of finished runs; its methods are what templates can call."""

    def __init__(self, runs: list[Run], learning: Iterable[dict] = (), costs: Iterable[dict] = ()) -> None:
        """Takes the runs, and the rows of `learning_table` and `cost` of them."""
        self._runs: dict[str, list[Run]] = {}
        for run in sorted(runs, key=lambda run: str(run.directory)):
            self._runs.setdefault(seeds.name_of(run.directory), []).append(run)
        self._learned = {row["run"]: row for row in learning}
        self._cost = {row["run"]: row for row in costs}

    def has(self, *names: str) -> bool:
        """Whether there are runs of all these names."""
        return all(name in self._runs for name in names)

    def of(self, name: str) -> list[Run]:
        """The runs of this name.

        Raises:
          UsageError: there is none, or they differ in more than the seed.
        """
        if name not in self._runs:
            raise UsageError(f"no folder is named {name}(_seed...): a page asks for its numbers.")
        first, *others = (run.trained_with for run in self._runs[name])
        unlike = [key for key in identity.of_settings() if any(other.get(key) != first.get(key) for other in others)]
        if unlike:
            raise UsageError(f"{name}_seed... differ in {', '.join(unlike)}: give each setting a name of its own.")
        return self._runs[name]

    def accuracy(self, name: str, test: str = "meta_test") -> str:
        """Mean accuracy over seeds, in per cent, with its interval over tasks and seeds: "96.71 ± 0.80".

        Args:
          test: stem of the files of another test, as `meta_val`, on validation classes.
        """
        each = self._by_task(name, test)
        return plus_minus(each.mean(), seeds.half(each, self._spread(name)))

    def mean(self, name: str) -> str:
        """Mean test accuracy over seeds, in per cent: "96.71"."""
        return f"{self._by_task(name).mean():.2f}"

    def by_seed(self, name: str) -> str:
        """The accuracy of each seed, in per cent: "96.90, 96.52"."""
        return ", ".join(f"{each.mean():.2f}" for each in self._by_task(name))

    def n_seeds(self, name: str) -> int:
        """How many training seeds it has."""
        return len(self.of(name))

    def iterations(self, name: str) -> str:
        """Its number of training iterations: "3,000"."""
        return f"{int(self.of(name)[0].iterations):,}"

    def difference(self, second: str, first: str, side: str = "") -> str:
        """Accuracy of the second less the first, in points, over the seeds that both have: "+0.78 ± 1.12".

        Args:
          side: what the text around it says: "+", "-", or "0" where no difference is shown.
        Raises:
          UsageError: the tasks are others, or the text says what the numbers do not show.
        """
        every = self._differences(second, first)
        half = seeds.half(every, self._spread(first), self._spread(second))
        shown = plus_minus(every.mean(), half, "+.2f")
        if half is None or not SIDES[side](every.mean(), half):
            raise UsageError(f"a page says {side!r} of {second} less {first}, which is {shown}: correct its text.")
        return shown

    def points(self, second: str, first: str, side: str) -> str:
        """`difference` without its sign, which the text says: "1.72 ± 1.40"."""
        return self.difference(second, first, side)[1:]

    def differences(self, second: str, first: str) -> str:
        """`difference` of each seed: "+1.19, +0.37"."""
        return ", ".join(f"{each.mean():+.2f}" for each in self._differences(second, first))

    def unpaired(self, second: str, first: str, tests: tuple[str, str] = ("meta_test", "meta_test")) -> str:
        """`difference` of two that were tested on other tasks, with the interval of independent samples.

        Of one name, tested twice, the models are the same, so the interval is over tasks alone.

        Args:
          tests: stems of the files of the second's test and the first's.
        """
        means, halves = [], []
        for name, test in zip((second, first), tests, strict=True):
            each = self._by_task(name, test)
            means.append(each.mean())
            halves.append(seeds.half(each, self._spread(name) if first != second else None) or np.nan)
        return plus_minus(means[0] - means[1], math.hypot(*halves), "+.2f")

    def deviation(self, folder: str) -> str:
        """How far a seed moves the accuracy of the settings in a folder, a standard deviation in points: "0.49"."""
        spread = self._spread(folder)
        return f"{spread.deviation:.2f}" if spread else ""

    def freedom(self, folder: str) -> int:
        """The degrees of freedom of `deviation`."""
        spread = self._spread(folder)
        return spread.freedom if spread else 0

    def published(self, name: str, source: str) -> str:
        """What `source` published of that task and method: "94.49"; "" if nothing."""
        run = self.of(name)[0]
        return published.accuracies().get((*run.task, run.config.method), {}).get(source, "").split(" ")[0]

    def paper_attack(self, name: str, norm: str, radius: float) -> str:
        """What the paper's figure has for that task, method, norm and radius: "68.5"; "" if nothing."""
        run = self.of(name)[0]
        curve = theirs.curve(run.attack_task, norm, robustness.paper_name(run.config.method))
        return f"{curve[radius]:g}" if radius in curve else ""

    def from_paper(self, name: str, norm: str) -> float:
        """The largest distance of a run's accuracy under attack from the paper's curve, in points."""
        found = []
        for row in (row for run in self.of(name) for row in run.attack if row["norm"] == norm):
            if paper := self.paper_attack(name, norm, row["epsilon"]):
                found.append(abs(row["accuracy_percent"] - float(paper)))
        if not found:
            raise UsageError(f"{name} and the paper's figure have no radius of {norm} in common: a page compares them.")
        return max(found)

    def avoided(self, second: str, first: str, test: str = "meta_test") -> str:
        """How many of the first's errors the second does not make, in per cent of them: "54"."""
        errors = [100 - self._by_task(name, test).mean() for name in (second, first)]
        return f"{100 * (1 - errors[0] / errors[1]):.0f}"

    def at(self, name: str, iteration: int, seed: int = 0) -> float:
        """Accuracy on held-out classes during the training with a seed, at an iteration, in per cent.

        See `learning_table` for which tasks these are.
        """
        curves = [learning_table.held_out(run) for run in self.of(name) if run.seed == seed]
        curve = curves[0][1] if curves and curves[0] else {}
        if iteration not in curve.get("iter", ()):
            raise UsageError(f"{name} with seed {seed} was not evaluated at iteration {iteration}: a page asks for it.")
        return 100 * curve["acc"][curve["iter"].index(iteration)]

    def best_at(self, name: str) -> str:
        """The iteration of the best accuracy on held-out classes, one a seed: "1,250 and 750"."""
        curves = [learning_table.held_out(run) for run in self.of(name)]
        return " and ".join(f"{curve['iter'][int(np.argmax(curve['acc']))]:,}" for _, curve in filter(None, curves))

    def learned(self, name: str, what: str) -> str:
        """A column of the learning table (`learning_table.row`), one entry a seed: "92.58 and 92.80"."""
        rows = [self._learned[str(run.directory)] for run in self.of(name) if str(run.directory) in self._learned]
        return " and ".join(str(row[what]) for row in rows)

    def cost(self, name: str, what: str) -> str:
        """A column of the cost table (`cost.row`), one entry a seed: "0.75 and 1.44"."""
        return " and ".join(str(self._cost[str(run.directory)][what]) for run in self.of(name))

    def attack(self, name: str, norm: str, radius: float) -> str:
        """Accuracy under attack, in per cent, with its interval over tasks: "41.60 ± 5.10"."""
        found = [row for run in self.of(name) for row in run.attack if (row["norm"], row["epsilon"]) == (norm, radius)]
        if not found:
            raise UsageError(f"{name} was not attacked with {norm} {radius}: a page asks for its accuracy.")
        return plus_minus(found[0]["accuracy_percent"], found[0]["ci95"], ".1f")

    def unattacked(self, name: str) -> str:
        """Accuracy of the attacked model without an attack, in per cent, with its interval over tasks."""
        tests = [run.test for run in self.of(name) if run.attack and run.test]
        if not tests:
            raise UsageError(f"{name} was not attacked: a page asks for it.")
        return plus_minus(tests[0]["accuracy"], tests[0]["interval"])

    def _by_task(self, name: str, test: str = "meta_test") -> np.ndarray:
        """[seeds, tasks], in per cent."""
        found = [paired.accuracies(run.directory, test) for run in self.of(name)]
        whole = [each for each in found if each is not None]
        if len(whole) < len(found) or len({len(each) for each in whole}) != 1:
            raise UsageError(f"{name} has no {test}.csv of as many tasks for every seed: test it again.")
        return np.stack(whole)

    def _differences(self, second: str, first: str) -> np.ndarray:
        runs = [{run.seed: run for run in self.of(name)} for name in (second, first)]
        common = sorted(runs[0].keys() & runs[1].keys(), key=str)
        tests = [[run[seed].test or {"config": {}} for seed in common] for run in runs]
        for one, other in zip(*tests, strict=True):
            names = "dataset", "way", "shot", *identity.of_test_tasks()
            tasks = [[test["config"].get(name) for name in names] for test in (one, other)]
            if tasks[0] != tasks[1]:
                raise UsageError(f"{first} and {second} were tested on other tasks: a page compares them.")
        for seed in common:
            if not identity.same_images(*(of[seed].trained_with for of in runs)):
                raise UsageError(f"{first} and {second} have other images: a page compares them.")
        of = [dict(zip(runs[i], self._by_task(name), strict=True)) for i, name in enumerate((second, first))]
        if not common or len(of[0][common[0]]) != len(of[1][common[0]]):
            raise UsageError(f"{first} and {second} have no seed, or not as many tasks: a page compares them.")
        return np.stack([of[0][seed] - of[1][seed] for seed in common])

    def _spread(self, name: str) -> seeds.Spread | None:
        """Between the seeds of a setting, from all settings in its folder; of a folder alone: of those."""
        folder = name.partition("/")[0]
        settings = seeds.settings(
            run for other, runs in self._runs.items() if other.partition("/")[0] == folder for run in runs
        )
        return seeds.spread(settings.values(), *([settings[name]] if name in settings else []))


def cell(rows: Iterable[dict], column: str, **where: Any) -> str:
    """The text in a column of the one row that has these values: "93.9 ± 0.2".

    Raises:
      UsageError: no row, or more than one, has them.
    """
    chosen = [row for row in rows if all(row[key] == value for key, value in where.items())]
    if len(chosen) != 1:
        raise UsageError(f"{len(chosen)} rows have {where}: a page asks for one.")
    return str(chosen[0][column])


def number(rows: Iterable[dict], column: str, **where: Any) -> float:
    """The number that `cell` begins with: 93.9.

    Raises:
      UsageError: there is none, or not one cell.
    """
    text = cell(rows, column, **where)
    try:
        return float(text.split()[0])
    except (ValueError, IndexError) as error:
        raise UsageError(f"{column} is {text!r} in the row of {where}: a page asks for a number.") from error


def table(rows: Iterable[dict], *columns: str, **where: Any) -> str:
    """Rows as a table of Markdown.

    Args:
      columns: those that are shown, in this order; "name=shown" renames one. All, if none is given. A method or task
        stands there as people write it.
      where: values that the rows must have; a list gives several.
    """
    from tabulate import tabulate

    chosen = [row for row in rows if all(row[key] in np.atleast_1d(value) for key, value in where.items())]
    if not chosen:
        raise UsageError(f"no row has {where}: a page asks for such a table.")
    shown = [(text.partition("=")[0], text.partition("=")[2] or text) for text in columns or chosen[0]]
    return tabulate(
        [{head: written(name, row[name]) for name, head in shown} for row in chosen],
        headers="keys", tablefmt="github", disable_numparse=True,
    )  # fmt: skip


def written(column: str, value: Any) -> Any:
    """A method or a task of a table's row, as people write it; other values as they are."""
    if column == "method":
        return style.name(value)
    parts = TASK.fullmatch(value) if column == "task" else None
    return style.task(parts[1], int(parts[2]), int(parts[3])) if parts else value
