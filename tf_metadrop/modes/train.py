"""Meta-training: Algorithm 1 of the paper around the compiled step, with evaluations, logs and checkpoints."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import pathlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_metadrop.algorithm import flops, parallel, repeatable
from tf_metadrop.algorithm.episodes import Images
from tf_metadrop.algorithm.execution import execution, prepare
from tf_metadrop.algorithm.outer_loop import State, initial_state
from tf_metadrop.algorithm.steps import make_train_step
from tf_metadrop.algorithm.workers import Team, watch
from tf_metadrop.config.config import Config
from tf_metadrop.data import description
from tf_metadrop.data.sources import open_split
from tf_metadrop.errors import UsageError
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.modes import replay
from tf_metadrop.modes.evaluate import Evaluation
from tf_metadrop.modes.learner import MetaLearner
from tf_metadrop.modes.resume import changes, find_run
from tf_metadrop.nn import backbones, rng
from tf_metadrop.nn.params import cast
from tf_metadrop.runs import checkpoint
from tf_metadrop.runs.checkpoint import Saved
from tf_metadrop.runs.record import Record
from tf_metadrop.runs.train_log import TrainLog
from tf_metadrop.util import lock, provenance, signals

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params

SMALL, TOO_FAST = 32, 0.05  # pixels; and the --inner_lr from which larger images were observed not to be learned
OF_EVALUATION = "n_eval_batches", "n_test_mc_samp"  # settings that the accuracy of an evaluation depends on
UNREAD = errno.EPIPE, errno.EIO  # of a print that nobody can read: the pipe or the terminal is closed
FAR_BEHIND = 10  # iterations between two reads of the results: each read makes a GPU wait


def meta_train(config: Config) -> MetaLearner:
    """Meta-trains, or resumes the unfinished run in the savedir.

    Writes into `config.directory`: meta_train.log, metrics.jsonl, timing.jsonl, and every save_freq iterations
    state.npz, run.json (the cost) and the weights as model.* (docs/reference/tf1_behaviour.md, "Files it writes").

    Returns:
      The trained MetaLearner.
    Raises:
      UsageError: the savedir holds another run or is in use, the data or --devices cannot be used, the loss or the
        gradient becomes non-finite, or another worker stops.
    """
    config = dataclasses.replace(config, mode="meta_train")
    team = parallel.join(config)
    prepare(config)
    with watch(config):
        config = team.agree(config)
    with watch(config):
        return train_in(team, config)


def train_in(team: Team, config: Config) -> MetaLearner:
    """Trains as `meta_train` says, on the devices of a team. Only its chief uses the savedir and prints."""
    directory = config.directory
    saved = team.from_chief(lambda: find_run(directory, config))
    if saved and saved.state.iteration > config.n_train_iters:
        if team.chief:
            print(f"{directory} holds this run, which is finished: nothing to train. {what_next(directory)}")
        return MetaLearner(config, saved.state.params)
    hold_out = config.eval_split == "val"
    train_images = Images(open_split(config.spec, config.data_dir, "train", hold_out), config)
    eval_images = Images(open_split(config.spec, config.data_dir, config.eval_split, hold_out), config)
    with contextlib.ExitStack() as stack:
        if team.chief:
            directory.mkdir(parents=True, exist_ok=True)
        team.from_chief(lambda: stack.enter_context(lock.held(directory, config.mode)))
        saved = team.from_chief(lambda: find_run(directory, config))  # again, now that no other process writes
        same_images(team, config, train_images.fingerprint, saved)
        log = None
        if team.chief:
            print(describe(config, saved))
            if config.spec.own:
                description.write(directory, config.spec)
            backbones.keep(directory, config.backbone)
            checkpoint.set_aside_broken(directory)
            log = stack.enter_context(TrainLog(directory, config, saved and saved.progress, changes(saved, config)))
        training = Training(team, config, train_images, eval_images, log, saved)
        return MetaLearner(config, training.run().params)


def same_images(team: Team, config: Config, images: str, saved: Saved | None) -> None:
    """Raises UsageError if the training images, by their fingerprint, differ from the run's or from the chief's."""
    if saved and saved.images not in (None, images):
        raise UsageError(
            f"{config.directory} holds a run with other training images than those in --data_dir={config.data_dir}: "
            "give the folder that it was started with, or another --savedir."
        )
    if images != team.from_chief(lambda: images):
        raise UsageError(
            f"--data_dir={config.data_dir} has other training images here than on the chief: give all workers of "
            "TF_CONFIG the same data."
        )


class Done(NamedTuple):
    """A training step that was handed to the device."""

    iteration: int
    before: State
    state: State
    loss: tf.Tensor  # mean query cross-entropy; NaN if a value of the step is non-finite: `state` is then unchanged
    accs: tf.Tensor  # [metabatch]
    indices: tuple  # of the episodes, into the training images: support and query
    drawn: tuple  # state of the episode generator after these episodes


class Training:
    """Runs the iterations 0..n_train_iters, or those that are left. Only the chief has a log; others have None."""

    def __init__(
        self,
        team: Team,
        config: Config,
        train_images: Images,
        eval_images: Images,
        log: TrainLog | None,
        saved: Saved | None,
    ):
        self.config, self.team, self.log, self.images = config, team, log, train_images
        self.method, self.directory = load_method(config), config.directory
        self.episodes = np.random.RandomState(config.seed)
        if saved:
            self.state = saved.state
            self.episodes.set_state(saved.random)
        else:
            key = rng.key(config.seed, rng.INITIAL_WEIGHTS)
            weights = lambda: network.initial(self.method, config.way, key)
            self.state = initial_state(cast(team.from_chief(weights), config.dtype), self.method)
        self.step = make_train_step(config, self.method, parallel.sharded(team.strategy, config))
        self.key = rng.key(config.seed, rng.TRAIN)
        self.evaluation = Evaluation(config, self.method, eval_images, rng.EVALUATE)
        self.reached: Saved | None = None  # the state that an interrupted run saves
        self.kept = int(self.state.iteration)  # the iteration of the last checkpoint
        self.record = Record(self.directory, self.kept, train_images.fingerprint) if log else None
        self.flop: int | None = None
        # {iteration, accuracy in [0, 1]} on validation classes
        self.best: dict[str, Any] | None = saved.progress.get("best") if saved else None
        self.outdated = self.best and saved and evaluated_otherwise(saved.config, config)  # the accuracy of the best

    def run(self) -> State:
        """Trains and returns the last state; an interrupted run saves its state first."""
        try:
            with signals.deferred():
                if self.log and self.best and self.outdated:
                    best = checkpoint.read(self.directory / checkpoint.BEST)
                    self.best |= {"accuracy": self.evaluated(best.state.params)["accuracy"]}
                self.iterate()
        except (KeyboardInterrupt, OSError) as error:
            if isinstance(error, OSError) and error.errno not in UNREAD:
                raise
            if self.log:
                said = self.interrupted()
                with contextlib.suppress(OSError):
                    print(said, flush=True)
            raise
        if self.log:
            self.log.write(f"{self.directory}: done. {what_next(self.directory)}")
        self.team.from_chief(lambda: None)  # no worker reports success before the last checkpoint is written
        return self.state

    def interrupted(self) -> str:
        """Saves what was reached, and says what is saved."""
        if self.reached and int(self.reached.state.iteration) > self.kept:
            self.save()
        if not self.kept:
            return "nothing is saved: the first evaluation had not ended. The same command starts again."
        return f"saved iteration {self.kept - 1}; the same command resumes from there."

    def iterate(self) -> None:
        """Runs the training steps; a GPU may still compute some of them while the next ones are handed to it."""
        behind, left = [], range(int(self.state.iteration), self.config.n_train_iters + 1)
        far_behind = FAR_BEHIND if tf.config.list_logical_devices("GPU") else 1  # a CPU has done the step by then
        with contextlib.closing(self.images.stream(self.episodes)) as stream:
            for iteration, (indices, drawn) in zip(left, stream, strict=False):
                signals.check()
                before = self.state
                self.state, loss, accs = self.step(before, *self.images.batch(*indices), self.key)
                behind.append(Done(iteration, before, self.state, loss, accs, indices, drawn))
                if len(behind) == far_behind or self.due(iteration):
                    for done in behind:
                        self.account(done)
                    behind.clear()

    def due(self, iteration: int) -> bool:
        """Whether this iteration is followed by a line of the log, an evaluation or a checkpoint."""
        c = self.config
        often = iteration % c.log_freq and iteration % c.eval_freq and iteration % c.save_freq
        return not often or iteration == c.n_train_iters

    def account(self, done: Done) -> None:
        """Logs a step; evaluates and saves when due. Only the chief does so; other workers wait at the next step."""
        c, iteration, sound = self.config, done.iteration, np.isfinite(done.loss)
        if not sound:
            self.fault(done)
        if self.log is None:
            return
        if self.reached is None:
            self.flop = self.count(done)
        last = iteration == c.n_train_iters
        self.log.trained(iteration, (float(done.loss), float(np.mean(done.accs))) if sound else None, last)
        if iteration % c.eval_freq == 0 or last:
            means = self.evaluated(done.state.params)
            self.log.evaluated(iteration, c.eval_split, means)
            if np.isfinite(means["cent"]):  # else a task diverged, and the accuracy means nothing
                self.keep_best(done, means["accuracy"])
        self.reached = self.saved(done)
        if iteration % c.save_freq == 0 or last:
            self.save()

    def evaluated(self, params: Params) -> dict[str, float]:
        """The mean of every metric on the classes of --eval_split."""
        metrics = self.evaluation.run(params, self.config.n_eval_batches)
        return {name: float(values.mean()) for name, values in metrics.items()}

    def count(self, done: Done) -> int | None:
        """The number of floating-point operations of a step; None if they cannot be counted.

        Raises:
          UsageError: the method draws random numbers from TensorFlow itself.
        """
        if self.team.strategy or execution(self.config).at_once:
            graph = flops.train_step_graph(self.config)
        else:
            arguments = done.before, *self.images.batch(*done.indices), self.key  # as before: no second tracing
            graph = self.step.get_concrete_function(*arguments).graph
        repeatable.refuse_own_draws(graph, self.config.method)
        try:
            return flops.flop(graph)
        except flops.Uncounted as error:
            print(f"{self.directory}: run.json will not have the operations of a step: {error}.", flush=True)
            return None

    def saved(self, done: Done) -> Saved:
        """The run after this step, as a checkpoint holds it."""
        assert self.log  # the chief's
        progress = self.log.progress() | {"best": self.best}
        return Saved(done.state, done.drawn, self.config.as_dict(), progress, self.images.fingerprint)

    def keep_best(self, done: Done, accuracy: float) -> None:
        """Saves the weights if the accuracy on validation classes is the best so far; test classes are never used."""
        if self.config.eval_split == "val" and accuracy > (self.best["accuracy"] if self.best else -1):
            self.best = {"iteration": done.iteration, "accuracy": accuracy}
            checkpoint.save_best(self.directory, self.saved(done))

    def save(self) -> None:
        """Writes a checkpoint of the last step, and run.json."""
        assert self.reached and self.record  # the chief's, after a step
        checkpoint.save(self.directory, self.reached)
        self.kept = int(self.reached.state.iteration)
        self.record.write(self.kept, self.flop)

    def fault(self, done: Done) -> None:
        """Saves a step with non-finite values, for --replay; with --on_nan=skip the training continues without it.

        Raises:
          UsageError: --on_nan=stop.
        """
        if self.log is None:
            if self.config.on_nan == "stop":
                raise UsageError(
                    f"non-finite values (NaN or Inf) at iteration {done.iteration}: see the chief's output."
                )
            return
        path, names = replay.keep(self.directory, self.config, self.images.batch(*done.indices), done, self.key)
        what = f"non-finite values (NaN or Inf) at iteration {done.iteration} of {self.directory}: {names}"
        if self.config.on_nan == "stop":
            raise UsageError(
                f"{what}. The step changed no weights and is saved in {path} (see --replay={path}): lower --inner_lr "
                "or --meta_lr and give a new --savedir, or resume with --on_nan=skip, which skips the step."
            )
        print(f"{what}; skipped, and saved in {path}.", flush=True)


def evaluated_otherwise(run: dict[str, Any], config: Config) -> bool:
    """Whether the evaluations of a run, by its settings, had other tasks or noise samples than those of the config."""
    return any(run.get(name, getattr(config, name)) != getattr(config, name) for name in OF_EVALUATION)


def what_next(directory: pathlib.Path) -> str:
    """The line after a finished training: which files there are, and the command that tests the model."""
    test = provenance.as_typed("meta_test", savedir=str(directory))
    return f"Weights and state are saved there, the log is {TrainLog.FILES[0]}. Next: {test}"


def describe(config: Config, saved: Saved | None) -> str:
    """The first lines on the terminal: choices that may differ from the 2020 release, and a note on --inner_lr."""
    where = f"resuming at iteration {int(saved.state.iteration)}" if saved else "starting"
    said = (
        f"{config.directory}: {where}; {config.method}, second_order {config.second_order}, episodes {config.episodes} "
        "(the 2020 release computes second_order tf1, episodes shared_classes)"
    )
    if config.spec.height > SMALL and config.inner_lr >= TOO_FAST:
        said += (
            f"\nnote: --inner_lr={config.inner_lr:g} suits images of 28 pixels. The paper uses 0.01 for 84 pixels; "
            f"with images of {config.spec.height} pixels a model may not learn at this learning rate."
        )
    return said
