"""One training step on several devices: finds the devices, and gives each its share of the tasks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

from tf_metadrop.algorithm.execution import choose_gpus, execution
from tf_metadrop.algorithm.outer_loop import Gradient, meta_gradient, vectorised_gradient
from tf_metadrop.algorithm.tasks import TaskGetter
from tf_metadrop.algorithm.workers import Team, adder, cluster
from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError
from tf_metadrop.util.quiet import quiet

if TYPE_CHECKING:
    from tf_metadrop.methods.method import Method
    from tf_metadrop.nn.types import NoiseGetter, Params


def join(config: Config) -> Team:
    """The devices that --devices and TF_CONFIG ask for; waits for all workers of TF_CONFIG.

    Raises:
      UsageError: there are fewer devices, TF_CONFIG cannot be used, or --metabatch cannot be shared evenly.
    """
    workers = cluster()
    n_workers = len(workers.addresses) if workers else 1
    if config.metabatch % (config.devices * n_workers):
        raise UsageError(
            f"--metabatch={config.metabatch} cannot be shared evenly by {config.devices * n_workers} devices "
            f"(--devices={config.devices}, workers: {n_workers}): change --metabatch or --devices."
        )
    if not workers and config.devices == 1:
        return Team(None, True, 1, None)
    choose_gpus(config)
    names = local_devices(config.devices, bool(workers))
    chief = not workers or workers.number == 0
    if workers and chief:
        print(f"waiting for the {n_workers - 1} other workers of TF_CONFIG", flush=True)
    try:
        with quiet():
            strategy = tf.distribute.MultiWorkerMirroredStrategy() if workers else tf.distribute.MirroredStrategy(names)
    except (tf.errors.OpError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise UsageError(f"the workers of TF_CONFIG cannot be joined ({reason}): fix the addresses.") from error
    return Team(strategy, chief, n_workers, adder(strategy) if workers else None)


def local_devices(n: int, several_workers: bool) -> list[str]:
    """The names of n GPUs of this machine or, if it has none, of n logical CPU devices that are created."""
    gpus, cpus = tf.config.get_visible_devices("GPU"), tf.config.list_physical_devices("CPU")
    if gpus and len(gpus) < n:
        raise UsageError(
            f"--devices={n} but this machine has {len(gpus)} GPUs from --gpu_id on: lower --devices, or give "
            "--gpu_id=-1 for the CPU."
        )
    if several_workers and n > 1 and not gpus:  # TensorFlow uses one CPU device of each worker
        raise UsageError(f"--devices={n} needs GPUs if TF_CONFIG names several workers: leave --devices out.")
    kind = "GPU" if gpus else "CPU"
    with contextlib.suppress(RuntimeError):  # TensorFlow has been used already, perhaps with enough devices
        if gpus:
            tf.config.set_visible_devices(gpus[:n], "GPU")
        else:
            tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * n)
    if not several_workers and len(tf.config.list_logical_devices(kind)) < n:
        raise UsageError(f"--devices={n} cannot be set after TensorFlow was used: restart Python, and train first.")
    return [f"{kind}:{index}" for index in range(n)]


def sharded(strategy: tf.distribute.Strategy | None, config: Config) -> Callable[..., Gradient] | None:
    """`outer_loop.meta_gradient` spread over replicas: replica r computes tasks r * share to (r + 1) * share - 1.

    Every replica sums the results of all replicas, so that all continue with the same numbers. Without a strategy,
    returns None.
    """
    if strategy is None:
        return None
    replicas, home, how = strategy.num_replicas_in_sync, strategy.extended.worker_devices[0], execution(config)
    plain = vectorised_gradient if how.at_once else meta_gradient
    gradient_of = tf.function(plain, autograph=False, jit_compile=how.xla)

    def gradient(
        params: Params, n_tasks: int, get_task: TaskGetter, config: Config, method: Method, get_noise: NoiseGetter
    ) -> Gradient:
        share = n_tasks // replicas

        def one_replica(params: Params) -> Gradient:
            context = tf.distribute.get_replica_context()
            number = tf.cast(context.replica_id_in_sync_group, tf.int32)
            with tf.device(home):  # the images are there: only those of this replica are copied
                tasks = get_task(number * share + tf.range(share))
            task = lambda index: tf.nest.map_structure(lambda part: tf.gather(part, index), tasks)
            noise = lambda index: get_noise(number * share + index)
            gradient, loss, accs = gradient_of(params, share, task, config, method, noise)
            in_place = tf.reshape(tf.one_hot(number, replicas, dtype=accs.dtype)[:, None] * accs, [n_tasks])
            part = {name: g / replicas for name, g in gradient.items()}, loss / replicas, in_place
            return context.all_reduce(tf.distribute.ReduceOp.SUM, part)

        results = strategy.run(one_replica, (params,))
        return tf.nest.map_structure(lambda value: strategy.experimental_local_results(value)[0], results)

    return gradient
