"""--mode=attack: the accuracy of a trained model under adversarial attacks on the query images.

The tasks, and the noise during adaptation, are those of --mode=meta_test with the same seed. Radius 0 therefore gives
the accuracy of meta_test. Every method and radius is attacked on the same images from the same random starts.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tf_metadrop.algorithm.execution import execution
from tf_metadrop.algorithm.inner_loop import adapt
from tf_metadrop.algorithm.outer_loop import for_each_task
from tf_metadrop.algorithm.tasks import Task, task_getter
from tf_metadrop.analysis import published
from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError
from tf_metadrop.figures import robustness
from tf_metadrop.methods import attack, attack_variant, network
from tf_metadrop.methods.method import Method, load_method
from tf_metadrop.modes.evaluate import count_batches
from tf_metadrop.nn import rng
from tf_metadrop.nn.layers import cross_entropy
from tf_metadrop.nn.params import dtype_of
from tf_metadrop.runs.loading import load_run, test_images
from tf_metadrop.runs.trackers import Trackers
from tf_metadrop.util import lock, signals
from tf_metadrop.util.interval import interval, plus_minus
from tf_metadrop.util.progress import progress
from tf_metadrop.util.provenance import about

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params, Shape, TaskNoise


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


def make_attack_step(
    config: Config, method: Method, grid: dict[str, tuple[float, ...]]
) -> tf.types.experimental.PolymorphicFunction:
    """The compiled attack: (params, images, support, query, key, first) -> accuracies [metabatch, norms and radii].

    The arguments are those of `steps.make_test_step`. If the tasks are vectorised, the radii are vectorised too; if the
    tasks are computed one after the other, so are the radii. On a CPU, vectorised radii take the same time as
    sequential ones (docs/reference/methods/attacks.md) and more memory.
    """
    how, c, variant = execution(config), config, attack_variant.load(config.attack_variant)

    def accuracies(params: Params, task: Task, noise: TaskNoise) -> tf.Tensor:
        samples = c.n_test_mc_samp, how.samples(c.metabatch, c.n_test_mc_samp)
        adapted = adapt(params, task.support_x, task.support_y, c, method, noise, *samples).params
        queries = network.for_queries(adapted, task.support_x, method)
        found = [withstand(adapted, task, noise, queries, norm, eps) for norm, eps in grid.items()]
        return tf.concat(found, -1)

    def withstand(
        adapted: Params, task: Task, noise: TaskNoise, method: Method, norm: str, every: Sequence[float]
    ) -> tf.Tensor:
        """The fraction of query images that are classified correctly after the attack at each radius, [..., radii]."""
        radii = tf.constant(every, task.query_x.dtype)
        if how.at_once:
            return share(adapted, task, noise, method, norm, radii)
        one = lambda eps: share(adapted, task, noise, method, norm, eps)
        return tf.map_fn(one, radii, parallel_iterations=1)

    def share(adapted: Params, task: Task, noise: TaskNoise, method: Method, norm: str, eps: tf.Tensor) -> tf.Tensor:
        x, y = (spread(t, eps, axis) for t, axis in ((task.query_x, -4), (task.query_y, -2)))
        batches = x.shape[:-4]
        correct = tf.ones(x.shape[:-3], tf.bool)
        for restart in range(max(c.attack_restarts, 1)):

            def start(shape: Shape, restart: int = restart) -> tf.Tensor:  # the same for every radius
                drawn = noise(
                    c.n_steps, restart, rng.Draw.ATTACK_START, [*task.query_x.shape[:-4], *shape[len(batches) :]]
                )
                return spread(drawn, eps, -2)

            loss = lambda x: cross_entropy(network.forward(adapted, x, method), y)
            normal = start if c.attack_restarts else None
            found = variant.perturb(x, loss, attack.load(norm), tf.broadcast_to(eps, batches), c.attack_steps, normal)
            logits = network.forward(adapted, found, method)
            correct &= tf.equal(tf.argmax(logits, -1), tf.argmax(y, -1))
        return tf.reduce_mean(tf.cast(correct, x.dtype), -1)

    @tf.function(autograph=False, jit_compile=how.xla)
    def step(
        params: Params, images: tf.Tensor, support: tf.Tensor, query: tf.Tensor, key: tf.Tensor, first: tf.Tensor
    ) -> tf.Tensor:
        dtype = dtype_of(params)
        get_task = task_getter(images, support, query, c, dtype)
        get_noise = lambda index: rng.StandardNormal(rng.fold(key, first + index), dtype)
        if how.at_once:
            numbers = tf.range(c.metabatch)
            return accuracies(for_each_task(params, c.metabatch), get_task(numbers), get_noise(numbers))
        one = lambda index: accuracies(params, get_task(index), get_noise(index))
        return tf.map_fn(one, tf.range(c.metabatch), fn_output_signature=dtype, parallel_iterations=1)

    return step


def spread(x: tf.Tensor, eps: tf.Tensor, axis: int) -> tf.Tensor:
    """Repeats x for each radius, on a new axis before `axis`; for a single radius (a scalar eps) returns x itself."""
    return x if eps.shape.rank == 0 else tf.stack([x] * eps.shape[0], x.shape.rank + axis)


def write(config: Config, run: dict, rows: list[dict]) -> None:
    """Writes the files, prints the rows, and logs them to W&B and TensorBoard."""
    directory = config.directory
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    stem = config.of_classes("attack")
    (directory / f"{stem}.csv").write_text(text.getvalue())
    made = dict(seed=config.seed, **about(), tensorflow=tf.__version__, config=config.as_dict(), trained_with=run)
    (directory / f"{stem}.json").write_text(json.dumps({"rows": rows, **made}, indent=1) + "\n")
    model = robustness.Attacked(config.method, "", rows)
    paper = published.robustness(config.dataset, config.way, config.shot)
    robustness.draw(directory / f"{stem}.png", [model], config, paper)
    for row in rows:
        accuracy = plus_minus(row["accuracy_percent"], row["ci95"], "f", "+-")
        print(f"{row['norm']:5s} {row['epsilon']:<6g} accuracy : {accuracy}")
    print(f"wrote {directory}/{stem}.csv, .json and .png")
    tracker = Trackers(directory, config, config.mode)
    tracker.log({f"attack-{row['norm']}-{row['epsilon']:g}-acc": row["accuracy_percent"] for row in rows})
    tracker.table("attack", rows)
    tracker.figures({"figures/attack": directory / f"{stem}.png"})
    tracker.finish()
