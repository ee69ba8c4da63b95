"""One setting: its role, its rules, and the check of a value against them."""

import dataclasses
import enum
from collections.abc import Callable
from typing import Any, TypeAlias

from tf_metadrop.errors import UsageError


class Role(enum.Enum):
    """The role of a setting; `tf_metadrop.config.identity` derives from it what may differ between runs."""

    TASK = "the task: data set, way, shot"
    MODEL = "the model: weights fit no other value"
    ADAPTATION = "adaptation and queries of a task: in training, and in a test unless it gives another value"
    TRAINING = "everything else that the weights depend on"
    EVALUATION = "evaluation of a run while it trains"
    LOCAL = "this process: the result does not depend on it"


LARGE = 2**32  # also the limit of a seed of the legacy NumPy generator
FLOAT32_MAX = 3e38

Choices: TypeAlias = tuple[str, ...] | Callable[[], tuple[str, ...]]  # the values, or a function that returns them


def setting(
    default: Any,
    help: str,
    role: Role,
    choices: Choices | None = None,
    minimum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    part_of: tuple[str, str | None] | None = None,
    path: bool = False,
) -> Any:
    """Declares a field of Config.

    Args:
      default: its default value.
      help: its line in --help.
      role: its role.
      choices: the values that are allowed.
      minimum, above, below: limits of a number: value >= minimum, value > above, value < below.
      part_of: (setting, value): this setting has an effect only if that setting has that value; a value of None stands
        for any value but the default.
      path: whether it is a path, in which ~ is the user's home folder.
    """
    metadata = dict(
        help=help, role=role, choices=choices, minimum=minimum, above=above, below=below, part_of=part_of, path=path
    )
    return dataclasses.field(default=default, metadata=metadata)


def check(field: dataclasses.Field, value: Any) -> None:
    """Raises UsageError if `value` is not possible for this field of Config."""
    kind, rule = scalar_type(field), field.metadata
    optional = field.default is None
    accepts: Any = (int, float) if kind is float else kind
    if optional and value is None:
        return
    if not isinstance(value, accepts) or (kind is not bool and isinstance(value, bool)):
        raise UsageError(f"--{field.name}={value!r} is not a value of type {kind.__name__}: give one.")
    if value == "":
        raise UsageError(f"--{field.name} is empty: give a value, or leave it out.")
    if kind is int and value >= LARGE:
        raise UsageError(f"--{field.name}={value} is too large: give less than 2**32.")
    if rule["choices"]:
        known = rule["choices"]() if callable(rule["choices"]) else rule["choices"]
        if value not in known:
            raise UsageError(f"--{field.name}={value} is not known: choose one of {', '.join(known)}.")
    if rule["minimum"] is not None and kind is int and value < rule["minimum"]:
        raise UsageError(f"--{field.name}={value} is too small: give at least {rule['minimum']}.")
    if rule["minimum"] is not None and kind is float and not rule["minimum"] <= value < FLOAT32_MAX:
        raise UsageError(
            f"--{field.name}={value} is not a number of at least {rule['minimum']:g}: give for example "
            f"{field.default:g}."
        )
    if rule["below"] is not None and value >= rule["below"]:
        raise UsageError(f"--{field.name}={value} is too large: give less than {rule['below']}.")
    if rule["above"] is not None and not rule["above"] < value < FLOAT32_MAX:
        raise UsageError(
            f"--{field.name}={value} is not a number above {rule['above']:g}: give for example {field.default:g}."
        )


def scalar_type(field: dataclasses.Field) -> type:
    """The type of a field: int, float, bool or str; str for `str | None`."""
    return str if field.default is None else type(field.default)
