"""Which runs of a task have the settings of most, and what sets others apart: a figure takes means of those alone."""

import dataclasses
from typing import Any

from tf_metadrop.analysis import paired, set_apart
from tf_metadrop.analysis.set_apart import most
from tf_metadrop.config import identity
from tf_metadrop.figures import style
from tf_metadrop.runs.finished import Run

SETTINGS = {"inner_lr": "inner learning rate", "meta_lr": "outer learning rate", "normalization": "normalisation"}
OF_CURVES = tuple(dict.fromkeys([*paired.SAME_RATE, *identity.of_training()]))  # settings that set curves apart

Drawn = tuple[Run, dict]  # a run, and its curve on some classes


def of_images(runs: list[Run]) -> dict[str, list[Run]]:
    """The runs of a task by the folder of their images, because the held-out classes of another folder are others.

    "" stands for the folder of most runs, and has those that do not say theirs.
    """
    folders = [identity.value(run.trained_with, "data_dir") for run in runs]
    usual = min(most(folders), default=None)
    found: dict[str, list[Run]] = {"": []}
    for run, folder in zip(runs, folders, strict=True):
        found.setdefault("" if folder in (None, usual) else folder, []).append(run)
    return found


def place(gradient: str) -> int:
    """The place of a meta-gradient among all of them."""
    known = list(style.GRADIENTS)
    return known.index(gradient) if gradient in known else len(known)


def family(run: Run) -> str:
    """The run's method, whatever its normalisation."""
    return dataclasses.replace(run.config, normalization="batch").method


def deviations(drawn: list[Drawn], tested: bool = False) -> list[dict[str, Any]]:
    """For each of these runs the settings in which it differs from most runs of its method: {setting: value}.

    The inner learning rate is compared with that of most runs of the same method and meta-gradient.

    Args:
      tested: compare the number of iterations and the settings of the test too.
    """
    told = [{name: identity.value(run.trained_with, name) for name in OF_CURVES} for run, _ in drawn]
    if tested:
        told = [each | of_test(run) for each, (run, _) in zip(told, drawn, strict=True)]
    names = list(dict.fromkeys(name for each in told for name in each))
    groups: dict[str, list[int]] = {}
    for number, (run, _) in enumerate(drawn):
        groups.setdefault(family(run), []).append(number)
    found: list[dict[str, Any]] = [{} for _ in drawn]
    for group in groups.values():
        for name in names:
            values = {i: told[i].get(name) for i in group}
            usual = most(values.values())
            for i, value in values.items():
                if value is not None and usual != {value}:
                    found[i][name] = value
    rates: dict[tuple, list[float]] = {}
    for number, (run, _) in enumerate(drawn):
        if not found[number]:
            rates.setdefault((family(run), run.gradient), []).append(run.config.inner_lr)
    for number, (run, _) in enumerate(drawn):
        known = rates.get((family(run), run.gradient), [run.config.inner_lr])
        if most(known) != {run.config.inner_lr}:
            found[number]["inner_lr"] = run.config.inner_lr
    return found


def of_test(run: Run) -> dict[str, Any]:
    """The weights that a run was tested with, by their iteration, and the settings of the test."""
    config = run.test["config"] if run.test else {}
    otherwise = identity.adapted_otherwise(run.trained_with, config)
    names = [*set_apart.OF_TEST, *otherwise]
    return {"iterations": run.iterations} | {f"tested with {name}": identity.value(config, name) for name in names}


def as_usual(runs: list[Run]) -> list[Run]:
    """The tested runs without `deviations`."""
    tested: list[Drawn] = [(run, {}) for run in runs if run.test]
    return [run for (run, _), other in zip(tested, deviations(tested, tested=True), strict=True) if not other]


def by_gradient_alone(drawn: list[Drawn]) -> tuple[list[Drawn], str]:
    """Runs of a method of which no settings are the usual ones, and a note of what they differ in.

    None of them, where runs of the same meta-gradient differ: their line would be a mean of different things.
    """
    told = [{name: identity.value(run.trained_with, name) for name in OF_CURVES} for run, _ in drawn]
    of_gradient = {(run.gradient, *settings.values()) for (run, _), settings in zip(drawn, told, strict=True)}
    if len(of_gradient) > len({run.gradient for run, _ in drawn}):
        return [], ""
    differ = [name for name in OF_CURVES if len({settings[name] for settings in told}) > 1]
    return drawn, "also differ in " + ", ".join(map(in_words, differ))


def in_words(setting: str) -> str:
    """A setting's name in a figure."""
    return SETTINGS.get(setting, setting.replace("_", " "))
