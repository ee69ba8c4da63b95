"""--mode=attack: the accuracy of a trained model under adversarial attacks on the query images.

The tasks, and the noise during adaptation, are those of --mode=meta_test with the same seed. Radius 0 therefore gives
the accuracy of meta_test. Every method and radius is attacked on the same images from the same random starts.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import itertools
import json
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tf_metadrop.algorithm.attack_step import make_attack_step
from tf_metadrop.analysis import published
from tf_metadrop.config import identity
from tf_metadrop.config.config import Config
from tf_metadrop.config.setting import Role
from tf_metadrop.errors import UsageError
from tf_metadrop.figures import robustness
from tf_metadrop.methods import attack, attack_variant
from tf_metadrop.methods.method import load_method
from tf_metadrop.modes.evaluate import count_batches, refuse_diverged
from tf_metadrop.nn import rng
from tf_metadrop.runs.loading import load_run, test_images
from tf_metadrop.runs.trackers import Trackers
from tf_metadrop.util import atomic, lock, signals
from tf_metadrop.util.interval import interval, plus_minus
from tf_metadrop.util.progress import progress
from tf_metadrop.util.provenance import about

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params

OF_ATTACK = (  # settings that the rows depend on, beside the model
    *identity.names(Role.ADAPTATION), "way", "shot", "metabatch", "seed", "n_test_iters", "n_test_mc_samp",
    "eval_normalization", "weights", "precision",
    "attack_norms", "attack_radii", "attack_variant", "attack_steps", "attack_restarts",
)  # fmt: skip


def attack_model(config: Config, given: set[str] | None = None) -> list[dict]:
    """Attacks the model of a savedir; writes attack.csv, attack.json and attack.png there.

    It attacks n_test_iters tasks in batches of metabatch. The attack is untargeted: attack_variant (PGD) with
    attack_steps steps from each of attack_restarts random starts (0: from the image itself), for each of attack_norms
    and each of attack_radii. All query images of a task are attacked together, since they share their batch statistics.
    An image counts as correct if it is classified correctly after every start.

    Args, Raises: as for `meta_test`.
    Returns:
      The rows of attack.csv: dicts of norm, epsilon, accuracy_percent, ci95 (half of the interval, as for `meta_test`),
      tasks, variant, steps and restarts.
    """
    grid = radii(config)
    check_starts(config)
    config, params, run = load_run(dataclasses.replace(config, mode="attack"), given)
    n_batches = count_batches(config)
    with lock.held(config.directory, config.mode):
        rows = attacked(config, params, grid, n_batches)
        write(config, run, rows)
    return rows


def attacked(config: Config, params: Params, grid: dict[str, tuple[float, ...]], n_batches: int) -> list[dict]:
    """The rows of attack.csv: see `attack_model`."""
    images = test_images(config)
    step, key = make_attack_step(config, load_method(config), grid), rng.key(config.seed, rng.META_TEST)
    generator, found = np.random.RandomState(config.seed), []
    with signals.deferred():
        for batch in progress(range(n_batches), "batch"):
            signals.check()
            first = tf.constant(batch * config.metabatch)
            found.append(step(params, *images.batch(*images.episodes(generator)), key, first).numpy())
            refuse_diverged(found[-1], config)
    accuracies = 100 * np.concatenate(found)  # [tasks, rows]
    half = [interval(of_radius) for of_radius in accuracies.T]
    kind = dict(variant=config.attack_variant, steps=config.attack_steps, restarts=config.attack_restarts)
    fixed = dict(tasks=len(accuracies), **kind)
    pairs = [(norm, eps) for norm, every in grid.items() for eps in every]
    return [
        dict(norm=norm, epsilon=eps, accuracy_percent=round(float(mean), 4), ci95=h and round(h, 4), **fixed)
        for (norm, eps), mean, h in zip(pairs, accuracies.mean(0), half, strict=True)
    ]


def check_starts(config: Config) -> None:
    """Refuses several starts for a variant that has only one."""
    if config.attack_restarts > 1 and not attack_variant.load(config.attack_variant).STARTS:
        raise UsageError(
            f"--attack_restarts={config.attack_restarts} is not for --attack_variant={config.attack_variant}, which "
            "always starts at the image: leave it out."
        )


def radii(config: Config) -> dict[str, tuple[float, ...]]:
    """The radii to attack with, for each norm.

    Raises:
      UsageError: attack_norms or attack_radii cannot be used.
    """
    norms = [name.strip() for name in config.attack_norms.split(",")]
    for name in norms:
        if name not in attack.names():
            raise UsageError(
                f"--attack_norms={config.attack_norms} has {name!r}, which is not a norm: choose from "
                f"{', '.join(attack.names())}."
            )
    if config.attack_radii is None:
        return {name: attack.load(name).RADII for name in norms}
    if len(norms) > 1:
        raise UsageError(f"--attack_radii={config.attack_radii} is for one norm: give one in --attack_norms.")
    try:
        given = tuple(float(text) for text in config.attack_radii.split(","))
    except ValueError:
        given = (-1.0,)
    if not all(0 <= eps < float("inf") for eps in given):
        raise UsageError(f"--attack_radii={config.attack_radii} is not a list of radii: give for example 0,0.02,0.1.")
    return {norms[0]: given}


def keep_other(config: Config, stem: str) -> None:
    """Renames the files of an attack with other settings to <stem>.1.csv and so on, which a new one would replace.

    The radii are for one norm at a time, so that other radii of three norms are three attacks.
    """
    directory, settings = config.directory, config.as_dict()
    try:
        earlier = json.loads((directory / f"{stem}.json").read_text())["config"]
        same = all(earlier.get(name, settings[name]) == settings[name] for name in OF_ATTACK)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        same = not (directory / f"{stem}.json").exists()
    if not same:
        number = next(n for n in itertools.count(1) if not any(directory.glob(f"{stem}.{n}.*")))
        for suffix in ".csv", ".json", ".png":
            with contextlib.suppress(FileNotFoundError):
                (directory / f"{stem}{suffix}").rename(directory / f"{stem}.{number}{suffix}")
        print(f"the earlier attack with other settings is kept as {directory}/{stem}.{number}.csv, .json and .png")


def write(config: Config, run: dict, rows: list[dict]) -> None:
    """Writes the files, prints the rows, and logs them to W&B and TensorBoard."""
    directory = config.directory
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    stem = config.of_classes("attack")
    keep_other(config, stem)
    atomic.write(directory / f"{stem}.csv", text.getvalue().encode())
    made = dict(seed=config.seed, **about(), tensorflow=tf.__version__, config=config.as_dict(), trained_with=run)
    atomic.write(directory / f"{stem}.json", (json.dumps({"rows": rows, **made}, indent=1) + "\n").encode())
    model = robustness.Attacked(config.method, "", rows)
    paper = published.robustness(config.dataset, config.way, config.shot)
    robustness.draw(directory / f"{stem}.png", [model], config, paper)
    for row in rows:
        accuracy = plus_minus(row["accuracy_percent"], row["ci95"], "f", "+-")
        print(f"{row['norm']:5s} {row['epsilon']:<6g} accuracy : {accuracy}")
    print(f"wrote {directory}/{stem}.csv, .json and .png")
    tracker = Trackers(directory, config, config.mode)
    tracker.log({f"{stem}-{row['norm']}-{row['epsilon']:g}-acc": row["accuracy_percent"] for row in rows})
    tracker.table(stem, rows)
    tracker.figures({f"figures/{stem}": directory / f"{stem}.png"})
    tracker.finish()
