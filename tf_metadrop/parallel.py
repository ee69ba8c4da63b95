"""One training step on several devices: which they are, the tasks' shares, and what the workers tell one another."""

import contextlib
import dataclasses
import json
import os
import pickle
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_metadrop.cli import quiet
from tf_metadrop.errors import UsageError
from tf_metadrop.meta import meta_gradient

SUM = tf.distribute.ReduceOp.SUM
LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)


class Cluster(NamedTuple):
    """The processes of a run, from TF_CONFIG."""

    addresses: list[str]  # host:port, the chief's first
    index: int  # this process's


class Team(NamedTuple):
    """The devices of a run: all of this process's, and those of the other workers."""

    strategy: tf.distribute.Strategy | None  # None: one device, without any distribution
    chief: bool  # whether this process writes
    workers: int  # processes

    def gradient(self) -> Callable:
        """A function as `meta.meta_gradient`, which gives every replica the result of all."""
        return sharded(self.strategy) if self.strategy else meta_gradient

    def from_chief(self, make: Callable[[], Any]) -> Any:
        """What `make` returns on the chief (anything that can be pickled); only there it is called.

        Raises:
          UsageError: on every worker, if `make` raises it.
        """
        if self.workers == 1:
            return make()
        sent = None
        if self.chief:
            try:
                sent = make()
            except UsageError as error:
                sent = error
        data = np.frombuffer(pickle.dumps(sent) if self.chief else b"", np.uint8)
        size = total(self.strategy, np.frombuffer(np.int64(data.size).tobytes(), np.uint8)).view(np.int64)[0]
        received = pickle.loads(total(self.strategy, data if self.chief else np.zeros(size, np.uint8)).tobytes())
        if isinstance(received, UsageError):
            raise received
        return received

    def agree(self, config):
        """This config with the chief's savedir.

        Raises:
          UsageError: this worker's settings describe another run than the chief's.
        """
        chiefs = self.from_chief(config.as_dict)
        for name in config.differences(chiefs):
            raise UsageError(
                f"--{name}={config.as_dict()[name]} here, but the chief has --{name}={chiefs[name]}: give all the "
                "workers of TF_CONFIG the same flags."
            )
        return dataclasses.replace(config, savedir=chiefs["savedir"])


def cluster() -> Cluster | None:
    """The processes that TF_CONFIG names; None if there is only this one.

    Raises:
      UsageError: TF_CONFIG is malformed.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    try:
        jobs = (json.loads(text) if text else {}).get("cluster", {})
        addresses = [*jobs.get("chief", []), *jobs.get("worker", [])]
        if len(addresses) < 2:
            return None
        task = json.loads(text)["task"]
        job, number = jobs[task["type"]], int(task["index"])
        sound = all(re.fullmatch(r".+:\d+", address) for address in addresses) and len(jobs.get("chief", [])) < 2
        if not sound or not 0 <= number < len(job) or not set(jobs) <= {"chief", "worker"}:
            raise ValueError
        return Cluster(addresses, number + (len(jobs.get("chief", [])) if task["type"] == "worker" else 0))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            'TF_CONFIG does not describe the workers: give {"cluster": {"worker": ["host:port", ...]}, "task": '
            '{"type": "worker", "index": 0}}, or unset it and give --devices alone.'
        ) from None


def join(config) -> Team:
    """The devices that --devices and TF_CONFIG ask for; waits until all workers of TF_CONFIG are there.

    Raises:
      UsageError: there are not as many, TF_CONFIG cannot be used, or they cannot share --metabatch evenly.
    """
    workers = cluster()
    n_workers = len(workers.addresses) if workers else 1
    if config.metabatch % (config.devices * n_workers):
        raise UsageError(
            f"--metabatch={config.metabatch} cannot be shared evenly by {config.devices * n_workers} devices "
            f"(--devices={config.devices}, workers: {n_workers}): give a multiple as --metabatch, or other --devices."
        )
    if not workers and config.devices == 1:
        return Team(None, True, 1)
    names = local_devices(config.devices, bool(workers))
    chief = not workers or workers.index == 0
    if workers and chief:
        print(f"waiting for the {n_workers - 1} other workers of TF_CONFIG", flush=True)
    try:
        with quiet():
            strategy = tf.distribute.MultiWorkerMirroredStrategy() if workers else tf.distribute.MirroredStrategy(names)
    except (tf.errors.OpError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise UsageError(f"the workers of TF_CONFIG cannot be joined ({reason}): mend the addresses.") from error
    return Team(strategy, chief, n_workers)


def local_devices(n: int, several_workers: bool) -> list[str]:
    """Names of n GPUs of this machine or, if it has none, of n logical CPU devices, which are made."""
    gpus, cpus = tf.config.list_physical_devices("GPU"), tf.config.list_physical_devices("CPU")
    if gpus and len(gpus) < n:
        raise UsageError(
            f"--devices={n} but from --gpu_id on this machine has {len(gpus)} GPUs: lower --devices, or give "
            "--gpu_id=-1 for the CPU."
        )
    if several_workers and n > 1 and not gpus:  # TensorFlow takes one CPU device of each worker
        raise UsageError(f"--devices={n} needs GPUs where TF_CONFIG names several workers: leave --devices out.")
    kind = "GPU" if gpus else "CPU"
    with contextlib.suppress(RuntimeError):  # TensorFlow is in use already, maybe with enough devices
        if gpus:
            tf.config.set_visible_devices(gpus[:n], "GPU")
        else:
            tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * n)
    if not several_workers and len(tf.config.list_logical_devices(kind)) < n:
        raise UsageError(f"--devices={n} comes after TensorFlow was used: restart Python, and train before all else.")
    return [f"{kind}:{index}" for index in range(n)]


def sharded(strategy) -> Callable:
    """`meta.meta_gradient` with the tasks dealt out: replica r takes tasks r * share to (r + 1) * share."""
    replicas, home = strategy.num_replicas_in_sync, strategy.extended.worker_devices[0]

    def gradient(params, n_tasks, get_task, config, noise_type, get_noise):
        share = n_tasks // replicas

        def one_replica(params):
            context = tf.distribute.get_replica_context()
            number = tf.cast(context.replica_id_in_sync_group, tf.int32)

            def task(index):
                with tf.device(home):  # where the images are: only the task's own travel
                    return get_task(number * share + index)

            noise = lambda index: get_noise(number * share + index)
            gradient, loss, accs = meta_gradient(params, share, task, config, noise_type, noise)
            in_place = tf.reshape(tf.one_hot(number, replicas, dtype=accs.dtype)[:, None] * accs, [n_tasks])
            part = {name: g / replicas for name, g in gradient.items()}, loss / replicas, in_place
            return context.all_reduce(SUM, part)

        results = strategy.run(one_replica, (params,))
        return tf.nest.map_structure(lambda value: strategy.experimental_local_results(value)[0], results)

    return gradient


def total(strategy, data: np.ndarray) -> np.ndarray:
    """The bytes of the first replica, on every worker; `data` is [n] uint8, of the same n everywhere."""

    @tf.function
    def add(values):
        def one_replica(values):
            context = tf.distribute.get_replica_context()
            first = tf.equal(context.replica_id_in_sync_group, 0)
            return context.all_reduce(SUM, tf.where(first, values, 0.0))  # floats: every device can add them

        return strategy.experimental_local_results(strategy.run(one_replica, (values,)))[0]

    return add(tf.constant(data, tf.float32)).numpy().astype(np.uint8)


@contextlib.contextmanager
def watch(config):
    """Says it in one sentence if another worker stops; TensorFlow notices within about ten seconds."""
    try:
        yield
    except (*LOST, tf.errors.InternalError) as error:
        if isinstance(error, tf.errors.InternalError) and "ollective" not in str(error):
            raise
        raise UsageError(
            f"another worker stopped, so this one ends too: the same command on all workers resumes from the last "
            f"checkpoint in {config.directory}."
        ) from error
