"""Reads definitions of sweeps in W&B's format, and makes the flags of a trial from them."""

import math
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from tf_metadrop.errors import UsageError
from tf_metadrop.util import text

RANGES = "int_uniform", "uniform", "log_uniform_values"  # W&B's distributions for a parameter with min and max


class Definition(NamedTuple):
    """The definition of a sweep."""

    method: str  # grid, random or bayes
    parameters: dict[str, dict]  # flag -> its `values`, or `min`, `max` and `distribution`
    fixed: list[str]  # flags of main.py for every trial


def load(path: pathlib.Path, flags: Sequence[str] = ()) -> Definition:
    """Reads a sweep definition; `flags` are added to the flags of every trial.

    Raises:
      UsageError: the file is not a sweep definition, or uses a feature that is not supported here.
    """
    import yaml

    try:
        content = yaml.safe_load(text.read(path))
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML ({' '.join(str(error).split())}): give a sweep definition.") from error
    if not isinstance(content, dict) or not isinstance(content.get("parameters"), dict):
        raise UsageError(f"{path} has no parameters: give a sweep definition like those in flags/sweeps.")
    method = content.get("method")
    if method not in ("grid", "random", "bayes"):
        raise UsageError(f"{path}: method is {method}, not grid, random or bayes.")
    command = content.get("command") or []
    if not isinstance(command, list) or not all(isinstance(part, str) for part in command):
        raise UsageError(f"{path}: command is {command}, not a list of texts.")
    fixed, parameters = [part for part in command if part.startswith("--")], {}
    for name, wanted in content["parameters"].items():
        if not isinstance(wanted, dict) or not wanted.keys() & {"value", "values", "min"}:
            raise UsageError(f"{path}: {name} needs value, values, or min and max.")
        check(wanted, f"{path}: {name}")
        if "value" in wanted:
            fixed.append(f"--{name}={wanted['value']}")
        elif "values" in wanted or (method != "grid" and "max" in wanted):
            parameters[name] = wanted
        else:
            raise UsageError(f"{path}: {name} needs values (method grid), or min and max.")
    if not parameters:
        raise UsageError(f"{path} varies nothing: give a parameter several values.")
    return Definition(method, parameters, [*fixed, *flags])


def check(wanted: dict[str, Any], name: str) -> None:
    """Raises UsageError, with this name of a parameter, if its values cannot be tried in the same way as by W&B."""
    if unknown := wanted.keys() - {"value", "values", "min", "max", "distribution"}:
        raise UsageError(f"{name} has {', '.join(map(str, unknown))}, which is not supported here: leave it out.")
    if len(wanted.keys() & {"value", "values", "min"}) > 1:
        raise UsageError(f"{name} has more than one of value, values, and min and max: leave the others out.")
    values = wanted.get("values", [0])
    if not isinstance(values, list) or not values or not all(isinstance(v, (str, int, float)) for v in values):
        raise UsageError(f"{name} has the values {values}, not a list of numbers or texts.")
    low, high = (wanted.get(end, 0) for end in ("min", "max"))
    if {"min", "max"} <= wanted.keys() and not (number(low) and number(high) and low <= high):
        raise UsageError(f"{name} has min {low} and max {high}, not two numbers in this order.")
    known = RANGES if "min" in wanted else ("constant",) if "value" in wanted else ("categorical",)
    kind = distribution(wanted)
    if kind not in known:
        raise UsageError(f"{name} has the distribution {kind}, which is not supported here: use {' or '.join(known)}.")
    if kind == "int_uniform" and not (isinstance(low, int) and isinstance(high, int)):
        raise UsageError(f"{name} has min {low} and max {high}: distribution int_uniform needs integers.")
    if kind == "log_uniform_values" and low <= 0:
        raise UsageError(f"{name} has min {low}, but its distribution is logarithmic: give a min above 0.")


def number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def distribution(wanted: dict[str, Any]) -> str:
    """The distribution of a parameter; the default is W&B's: integers if min and max are integers."""
    if "min" not in wanted:
        return wanted.get("distribution", "constant" if "value" in wanted else "categorical")
    whole = isinstance(wanted["min"], int) and isinstance(wanted.get("max"), int)
    return wanted.get("distribution", "int_uniform" if whole else "uniform")


def suggest(trial: Any, parameters: dict[str, dict]) -> dict[str, Any]:
    """The flags of a trial, {name: value}."""
    found = {}
    for name, wanted in parameters.items():
        kind = distribution(wanted)
        if kind == "categorical":
            found[name] = trial.suggest_categorical(name, wanted["values"])
        elif kind == "int_uniform":
            found[name] = trial.suggest_int(name, wanted["min"], wanted["max"])
        else:
            found[name] = trial.suggest_float(name, wanted["min"], wanted["max"], log=kind == "log_uniform_values")
    return found
