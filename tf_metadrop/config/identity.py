"""Decides from the settings' roles when two runs are the same, and when they are comparable.

The settings of a run are a dict by name, as `Config.as_dict` returns and files hold. A setting that an older run does
not have had its default value. A setting that a log in the TF1 program's format cannot have is unknown (None), and
counts as equal to any value.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from tf_metadrop.config.config import METHOD_FLAGS, Config
from tf_metadrop.config.setting import Role
from tf_metadrop.data.fingerprint import IMAGES  # of the training images, if it is known

DEFAULTS = {field.name: field.default for field in dataclasses.fields(Config)}


def names(*roles: Role) -> tuple[str, ...]:
    """Names of the settings with these roles, in Config's order."""
    return tuple(field.name for field in dataclasses.fields(Config) if field.metadata["role"] in roles)


def of_weights() -> tuple[str, ...]:
    """Settings that the weights depend on: a test with other values is impossible, except with a smaller way."""
    return ("dataset", "way", *names(Role.MODEL))


def unfit(run: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Settings that prevent a test of a run's weights as `wanted`; fewer classes do not."""
    fewer = wanted["way"] < run.get("way", wanted["way"])
    must = [name for name in of_weights() if not (fewer and name == "way")]
    return [name for name in must if run.get(name, wanted[name]) != wanted[name]]


def of_method() -> tuple[str, ...]:
    """Settings in a run's name; its test may have other values."""
    return names(Role.MODEL, Role.ADAPTATION)


def of_test_tasks() -> tuple[str, ...]:
    """Settings that determine the tasks of a test and the adaptation to them, except the inner learning rate."""
    return "query", "metabatch", "seed", "eval_split", "n_steps"


def of_training() -> tuple[str, ...]:
    """Settings of a training that must agree in a comparison; method, length, gradient, rate and seed may differ."""
    compared = {"second_order", "inner_lr", "seed", "n_train_iters", "eval_split", *adversary()}
    every = names(Role.TASK, Role.ADAPTATION, Role.TRAINING)
    return tuple(name for name in every if name not in compared | {*coefficients()})


def of_settings() -> tuple[str, ...]:
    """Settings of a training that two of its seeds have in common."""
    every = names(Role.TASK, Role.MODEL, Role.ADAPTATION, Role.TRAINING)
    return tuple(name for name in every if name != "seed")


def adversary() -> tuple[str, ...]:
    """Settings of adversarial training that are part of the method's name; its steps are not."""
    return "adv_train", "adv_norm", "adv_eps"


def coefficients() -> dict[str, tuple[str, Any]]:
    """Settings that have an effect only with a value of another setting: {name: (setting, value)}; see `part_of`."""
    fields = {field.name: field.metadata["part_of"] for field in dataclasses.fields(Config)}
    return {name: part for name, part in fields.items() if part}


def coefficients_in_force(settings: dict[str, Any]) -> dict[str, Any]:
    """The coefficients that have an effect in a run and are known, with their values."""
    found = {}
    for name, (setting, wanted) in coefficients().items():
        has = value(settings, setting)
        if name in settings and has is not None and (has == wanted if wanted else has != DEFAULTS[setting]):
            found[name] = settings[name]
    return found


def adapted_otherwise(trained_with: dict[str, Any], test: dict[str, Any]) -> dict[str, Any]:
    """The settings in which the adaptation of a test differs from that of the training, with the values of the test.

    Not among them: the inner learning rate, the steps and the queries, which results name anyway, and adversarial
    queries, which have no effect on an adaptation.
    """
    one, other = ({**known, "adv_train": adversary_in_adaptation(known)} for known in (trained_with, test))
    without_effect = coefficients().keys() - coefficients_in_force(other).keys()
    if other["adv_train"] in (None, DEFAULTS["adv_train"]):
        without_effect |= {*adversary()[1:]}
    pairs = {name: (value(other, name), value(one, name)) for name in names(Role.ADAPTATION) if name in test}
    left_out = without_effect | {"inner_lr", *of_test_tasks()}
    differ = {name: ours for name, (ours, theirs) in pairs.items() if theirs is not None and ours != theirs}
    return {name: ours for name, ours in differ.items() if name not in left_out}


def adversary_in_adaptation(settings: dict[str, Any]) -> Any:
    """The value of adv_train as far as an adaptation depends on it: adversarial queries do not act on it."""
    found = value(settings, "adv_train")
    return DEFAULTS["adv_train"] if found == "query" else found


def value(settings: dict[str, Any], name: str) -> Any:
    """The value of a setting in a run, which may be older than the setting; None if it is not known."""
    return settings[name] if name in settings else None if "seed" not in settings else DEFAULTS.get(name)


def apart(one: dict[str, Any], other: dict[str, Any], among: Iterable[str]) -> list[str]:
    """The settings in `among` that are known to differ between two runs."""
    pairs = {name: (value(one, name), value(other, name)) for name in among}
    return [name for name, pair in pairs.items() if None not in pair and pair[0] != pair[1]]


def same_images(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two runs have the same training images as far as is known: by their fingerprint, or else the folder."""
    for name in IMAGES, "data_dir":
        known = [settings.get(name) for settings in (one, other)]
        if None not in known:
            return known[0] == known[1]
    return True


def comparable(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two runs differ at most in method, length, gradient, inner learning rate and seed."""
    return same_images(one, other) and not apart(one, other, of_training())


def local() -> set[str]:
    """Settings that do not affect a result, and --maml, which repeats --noise_type."""
    return {*names(Role.LOCAL), METHOD_FLAGS[0]}
