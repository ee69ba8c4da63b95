"""The settings in which runs of the same task and method differ, other than the columns of a table."""

import collections
from collections.abc import Iterable
from typing import Any

from tf_metadrop.config import identity
from tf_metadrop.runs.finished import Run

OF_TEST = "n_test_mc_samp", "precision", "eval_normalization", *identity.of_test_tasks()
OF_TASK = "dataset", "way", "shot"
TRAINED, OTHERWISE = "trained with ", "tested with other "  # such settings are always shown


def settings(run: Run) -> dict[str, Any]:
    """Settings in which a `finished.Run` may differ: those of its training, and, as "tested with ...", of its test."""
    trained_with, test = run.trained_with, (run.test or {}).get("config", {})
    found = {name: trained_with.get(name) for name in ("data_dir", identity.IMAGES)}
    found |= {name: identity.value(trained_with, name) for name in (*identity.of_training(), "eval_split")}
    for name in OF_TASK:  # a model can be tested with fewer classes, and with another number of shots
        trained = found.pop(name)
        found[f"{TRAINED}{name}"] = trained if trained != getattr(run.config, name) else None
    found |= identity.coefficients_in_force(trained_with)
    found[f"{TRAINED}other images than tested with"] = trained_with.get("tested_with_images")
    found |= {f"tested with {name}": identity.value(test, name) for name in OF_TEST}
    otherwise = identity.adapted_otherwise(trained_with, test)
    return found | {f"{OTHERWISE}{name}": value for name, value in otherwise.items()}


def texts(runs: list[Run]) -> list[str]:
    """For each of these runs of one task and method, the settings that most runs do not share, as "episodes tf1"."""
    every = [settings(run) for run in runs]
    names = list(dict.fromkeys(name for each in every for name in each))
    usual = {name: most(each.get(name) for each in every) for name in names}
    return [text(own, usual, every) for own in every]


def text(own: dict[str, Any], usual: dict[str, set], every: list[dict[str, Any]]) -> str:
    """`texts` of one run. A digest is shown only if runs with the same folder and held-out classes differ in it."""
    is_shown = lambda name, value: name.startswith((TRAINED, OTHERWISE)) or usual[name] != {value}
    others = {name: value for name, value in own.items() if value is not None and is_shown(name, value)}
    same_folder = [each for each in every if all(each[name] == own[name] for name in ("data_dir", "eval_split"))]
    if len({each[identity.IMAGES] for each in same_folder} - {None}) < 2:
        others.pop(identity.IMAGES, None)
    shown = lambda value: f"{value:g}" if isinstance(value, float) else str(value)
    return ", ".join(f"{name} {shown(value)}" for name, value in others.items())


def most(values: Iterable) -> set:
    """The most frequent of the known values; several values if they are equally frequent."""
    counts = collections.Counter(value for value in values if value is not None)
    return {value for value, n in counts.items() if n == max(counts.values())}
