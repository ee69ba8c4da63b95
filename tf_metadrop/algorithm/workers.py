"""Several processes in one run: reads TF_CONFIG, sends values from the chief to all, and reports a lost worker."""

import contextlib
import dataclasses
import json
import os
import pickle
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError

LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)


class Cluster(NamedTuple):
    """The processes of a run, from TF_CONFIG."""

    addresses: list[str]  # host:port, the chief's first
    number: int  # of this process


class Team(NamedTuple):
    """The devices of a run: those of this process and of the other workers."""

    strategy: tf.distribute.Strategy | None  # None: one device, no distribution
    chief: bool  # whether this process is the chief, which writes the files
    workers: int  # number of processes
    total: Callable | None  # see `adder`; None: one process

    def from_chief(self, make: Callable[[], Any]) -> Any:
        """Calls `make` on the chief only, and returns its result (anything that can be pickled) on every worker.

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
        assert self.total  # there are several processes
        size = self.total(np.frombuffer(np.int64(data.size).tobytes(), np.uint8)).view(np.int64)[0]
        received = pickle.loads(self.total(data if self.chief else np.zeros(size, np.uint8)).tobytes())
        if isinstance(received, UsageError):
            raise received
        return received

    def agree(self, config: Config) -> Config:
        """The config with the chief's savedir.

        Raises:
          UsageError: this worker's settings describe another run than those of the chief.
        """
        if self.workers == 1:
            return config
        chiefs = self.from_chief(config.as_dict)
        for name in config.differences(chiefs):
            raise UsageError(
                f"--{name}={config.as_dict()[name]} here, but the chief has --{name}={chiefs[name]}: give all "
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
            '{"type": "worker", "index": 0}}, or unset it and give only --devices.'
        ) from None


def adder(strategy: tf.distribute.Strategy) -> Callable[[np.ndarray], np.ndarray]:
    """A function that sends the first replica's bytes to every worker: [n] uint8 -> [n] uint8, with n equal on all."""

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.float32)])
    def add(values: tf.Tensor) -> tf.Tensor:
        def one_replica(values: tf.Tensor) -> tf.Tensor:
            first = tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)
            mine = tf.where(first, values, 0.0)  # floats: every kind of device can add them
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, mine)

        return strategy.experimental_local_results(strategy.run(one_replica, (values,)))[0]

    return lambda data: add(tf.constant(data, tf.float32)).numpy().astype(np.uint8)


@contextlib.contextmanager
def watch(config: Config) -> Iterator[None]:
    """Raises UsageError if another worker stops; TensorFlow notices this within about ten seconds."""
    try:
        yield
    except (*LOST, tf.errors.InternalError) as error:
        if isinstance(error, tf.errors.InternalError) and "ollective" not in str(error):
            raise
        raise UsageError(
            f"another worker stopped, so this one ends too: the same command on all workers resumes from the last "
            f"checkpoint in {config.directory}."
        ) from error
