"""When two runs are one and the same, and when they may be compared: everything follows from the settings' roles.

Settings of a run are a dict by name, as `Config.as_dict` gives and files keep. What an older run does not say had its
default; what a log of the TF1 program's form cannot say is unknown, None, and sets nothing apart.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from tf_metadrop.config.config import METHOD_FLAGS, Config
from tf_metadrop.config.setting import Role
from tf_metadrop.data.fingerprint import IMAGES  # of the training images, if it is known

DEFAULTS = {field.name: field.default for field in dataclasses.fields(Config)}


def names(*roles: Role) -> tuple[str, ...]:
    """The settings of these roles, in Config's order."""
    return tuple(field.name for field in dataclasses.fields(Config) if field.metadata["role"] in roles)


def of_weights() -> tuple[str, ...]:
    """Settings that the weights depend on: a test with another value is impossible, but for a smaller way."""
    return ("dataset", "way", *names(Role.MODEL))


def unfit(run: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Settings with which the weights of a run cannot be tested as `wanted`; with fewer classes they can."""
    fewer = wanted["way"] < run.get("way", wanted["way"])
    must = [name for name in of_weights() if not (fewer and name == "way")]
    return [name for name in must if run.get(name, wanted[name]) != wanted[name]]


def of_method() -> tuple[str, ...]:
    """Settings that a run is named after, although its test may have others."""
    return names(Role.MODEL, Role.ADAPTATION)


def of_test_tasks() -> tuple[str, ...]:
    """Settings of a test that decide which tasks it has and how they are asked about, but for the inner rate."""
    return "query", "metabatch", "seed", "eval_split", "n_steps"


def of_training() -> tuple[str, ...]:
    """Settings of a training that set it apart from another of the same method, length, gradient, rate and seed."""
    compared = {"second_order", "inner_lr", "seed", "n_train_iters", "eval_split", *adversary()}
    every = names(Role.TASK, Role.ADAPTATION, Role.TRAINING)
    return tuple(name for name in every if name not in compared | {*coefficients()})


def adversary() -> tuple[str, ...]:
    """Settings of adversarial training that the name of the method says; not its steps."""
    return "adv_train", "adv_norm", "adv_eps"


def coefficients() -> dict[str, tuple[str, Any]]:
    """Settings that are coefficients of a value of another one: {name: (setting, value)}, see `setting.setting`."""
    fields = {field.name: field.metadata["part_of"] for field in dataclasses.fields(Config)}
    return {name: part for name, part in fields.items() if part}


def coefficients_in_force(settings: dict[str, Any]) -> dict[str, Any]:
    """Those coefficients of a run that have an effect, and are known, with their values."""
    found = {}
    for name, (setting, wanted) in coefficients().items():
        has = value(settings, setting)
        if name in settings and has is not None and (has == wanted if wanted else has != DEFAULTS[setting]):
            found[name] = settings[name]
    return found


def value(settings: dict[str, Any], name: str) -> Any:
    """A setting of a run that may be older than the setting; None where it is not known."""
    return settings[name] if name in settings else None if "seed" not in settings else DEFAULTS.get(name)


def apart(one: dict[str, Any], other: dict[str, Any], among: Iterable[str]) -> list[str]:
    """Those of these settings that are known to differ between two runs."""
    pairs = {name: (value(one, name), value(other, name)) for name in among}
    return [name for name, pair in pairs.items() if None not in pair and pair[0] != pair[1]]


def same_images(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two runs had the same training images, as far as that is known: by their digest, or else the folder."""
    for name in IMAGES, "data_dir":
        known = [settings.get(name) for settings in (one, other)]
        if None not in known:
            return known[0] == known[1]
    return True


def comparable(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two runs differ in no more than method, length, gradient, inner rate and seed."""
    return same_images(one, other) and not apart(one, other, of_training())


def local() -> set[str]:
    """Settings that say nothing of a result; of the two flags for the noise, the one that repeats the other."""
    return {*names(Role.LOCAL), METHOD_FLAGS[0]}
