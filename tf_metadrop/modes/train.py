"""Meta-training: Algorithm 1 of the paper around the compiled step, with evaluations, logs and checkpoints."""

import contextlib
import dataclasses
import pathlib
from typing import Any, NamedTuple

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
from tf_metadrop.modes.going_on import changes, find_run
from tf_metadrop.modes.learner import MetaLearner
from tf_metadrop.nn import backbones, rng
from tf_metadrop.nn.params import cast
from tf_metadrop.runs import checkpoint
from tf_metadrop.runs.checkpoint import Saved
from tf_metadrop.runs.record import Record
from tf_metadrop.runs.train_log import TrainLog
from tf_metadrop.util import lock, provenance, signals

SMALL, TOO_FAST = 32, 0.05  # pixels, and the --inner_lr from which on larger images were seen not to be learned
FAR_BEHIND = 10  # iterations between two looks at the results: each look makes a GPU wait


def meta_train(config: Config) -> MetaLearner:
    """Meta-trains, or goes on with the unfinished run in the savedir.

    Writes into `config.directory`: meta_train.log, metrics.jsonl, timing.jsonl, and every save_freq iterations
    state.npz, run.json (what it cost) and the weights as model.* (docs/tf1_behaviour.md, "Files it writes").

    Returns:
      The trained MetaLearner.
    Raises:
      UsageError: the savedir holds another run or is in use, the data or --devices cannot be used, the loss or the
        gradient stops being a number, or another worker stops.
    """
    config = dataclasses.replace(config, mode="meta_train")
    team = parallel.join(config)
    prepare(config)
    with watch(config):
        config = team.agree(config)
    with watch(config):
        return train_in(team, config)


def train_in(team: Team, config: Config) -> MetaLearner:
    """`meta_train` on these devices. Of several workers only the chief reads and writes the savedir, and prints."""
    directory = config.directory
    saved = team.from_chief(lambda: find_run(directory, config))
    if saved and saved.state.iteration > config.n_train_iters:
        if team.chief:
            print(f"{directory} holds this run, finished: nothing to train. {what_next(directory)}")
        return MetaLearner(config, saved.state.params)
    hold_out = config.eval_split == "val"
    train_images = Images(open_split(config.spec, config.data_dir, "train", hold_out), config)
    eval_images = Images(open_split(config.spec, config.data_dir, config.eval_split, hold_out), config)
    with contextlib.ExitStack() as stack:
        if team.chief:
            directory.mkdir(parents=True, exist_ok=True)
        team.from_chief(lambda: stack.enter_context(lock.held(directory, config.mode)))
        saved = team.from_chief(lambda: find_run(directory, config))  # once more, now that nobody else writes
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
    """Raises UsageError where the training images, by their fingerprint, are not the run's or not the chief's."""
    if saved and saved.images not in (None, images):
        raise UsageError(
            f"{config.directory} holds a run with other training images than those in --data_dir={config.data_dir}: "
            "give the folder that it was started with, or another --savedir."
        )
    if images != team.from_chief(lambda: images):
        raise UsageError(
            f"--data_dir={config.data_dir} has other training images here than on the chief: give all the workers of "
            "TF_CONFIG the same data."
        )


class Done(NamedTuple):
    """A step that was handed to the device."""

    iteration: int
    before: State
    state: State
    loss: tf.Tensor  # mean query cross-entropy; NaN if a number of the step is none, and then `state` has not moved
    accs: tf.Tensor  # [metabatch]
    indices: tuple  # of the episodes, into the training images: support and query
    drawn: tuple  # the episode generator's state after them


class Training:
    """Iterations 0..n_train_iters, or those that are left. log is None but on the chief."""

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
        self.reached: Saved | None = None  # what an interrupted run saves
        self.kept = int(self.state.iteration)  # what is saved
        self.record = Record(self.directory, self.kept, train_images.fingerprint) if log else None
        self.flop: int | None = None
        # {iteration, accuracy in [0, 1]} on validation classes
        self.best: dict[str, Any] | None = saved.progress.get("best") if saved else None

    def run(self) -> State:
        """Returns the last state. An interrupted run saves what it has reached."""
        try:
            with signals.deferred():
                self.iterate()
        except KeyboardInterrupt:
            if self.log and self.reached and int(self.reached.state.iteration) > self.kept:
                self.save()
                print(f"saved iteration {self.kept - 1}; the same command goes on from there.", flush=True)
            raise
        if self.log:
            self.log.write(f"{self.directory}: done. {what_next(self.directory)}")
        self.team.from_chief(lambda: None)  # no worker says that it has done before the last checkpoint is written
        return self.state

    def iterate(self) -> None:
        """Takes the steps; a GPU may still be computing some of them while the next ones are handed to it."""
        behind, left = [], range(int(self.state.iteration), self.config.n_train_iters + 1)
        with contextlib.closing(self.images.stream(self.episodes)) as stream:
            for iteration, (indices, drawn) in zip(left, stream, strict=False):
                signals.check()
                before = self.state
                self.state, loss, accs = self.step(before, *self.images.batch(*indices), self.key)
                behind.append(Done(iteration, before, self.state, loss, accs, indices, drawn))
                if len(behind) == FAR_BEHIND or self.due(iteration):
                    for done in behind:
                        self.account(done)
                    behind.clear()

    def due(self, iteration: int) -> bool:
        """Whether there is an evaluation or a checkpoint after this iteration."""
        c = self.config
        return not (iteration % c.eval_freq and iteration % c.save_freq) or iteration == c.n_train_iters

    def account(self, done: Done) -> None:
        """Logs a step, evaluates and saves where that is due; only the chief, for whose next step the others wait."""
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
            metrics = self.evaluation.run(done.state.params, c.n_eval_batches)
            means = {name: float(values.mean()) for name, values in metrics.items()}
            self.log.evaluated(iteration, c.eval_split, means)
            self.keep_best(done, means["accuracy"])
        self.reached = self.saved(done)
        if iteration % c.save_freq == 0 or last:
            self.save()

    def count(self, done: Done) -> int | None:
        """Floating-point operations of a step, None if they cannot be counted.

        Raises:
          UsageError: it draws for itself.
        """
        if self.team.strategy or execution(self.config).at_once:
            graph = flops.train_step_graph(self.config)
        else:
            arguments = done.before, *self.images.batch(*done.indices), self.key  # as it was called: not traced again
            graph = self.step.get_concrete_function(*arguments).graph
        repeatable.refuse_own_draws(graph, self.config.method)
        try:
            return flops.flop(graph)
        except flops.Uncounted as error:
            print(f"{self.directory}: run.json will not say the arithmetic of a step: {error}.", flush=True)
            return None

    def saved(self, done: Done) -> Saved:
        """The run after this step."""
        assert self.log  # the chief's
        progress = self.log.progress() | {"best": self.best}
        return Saved(done.state, done.drawn, self.config.as_dict(), progress, self.images.fingerprint)

    def keep_best(self, done: Done, accuracy: float) -> None:
        """Keeps the weights if this is the best accuracy on validation classes so far; never by test classes."""
        if self.config.eval_split == "val" and accuracy > (self.best["accuracy"] if self.best else -1):
            self.best = {"iteration": done.iteration, "accuracy": accuracy}
            checkpoint.save_best(self.directory, self.saved(done))

    def save(self) -> None:
        """Writes what was reached."""
        assert self.reached and self.record  # the chief's, after a step
        checkpoint.save(self.directory, self.reached)
        self.kept = int(self.reached.state.iteration)
        self.record.write(self.kept, self.flop)

    def fault(self, done: Done) -> None:
        """Keeps a step that gave numbers which are none, for --replay; goes on without it if --on_nan=skip.

        Raises:
          UsageError: --on_nan=stop.
        """
        if self.log is None:
            if self.config.on_nan == "stop":
                raise UsageError(f"a number is none at iteration {done.iteration}: see what the chief says.")
            return
        path, names = replay.keep(self.directory, self.config, self.images.batch(*done.indices), done, self.key)
        what = f"at iteration {done.iteration} of {self.directory} these are no numbers: {names}"
        if self.config.on_nan == "stop":
            raise UsageError(
                f"{what}; nothing of that step was kept, the step is in {path} (look with --replay={path}): lower "
                "--inner_lr or --meta_lr and give a new --savedir, or go on with --on_nan=skip, which passes it over."
            )
        print(f"{what}; passed over, and kept in {path}.", flush=True)


def what_next(directory: pathlib.Path) -> str:
    """What a finished training has left, and the command that tests it."""
    test = provenance.as_typed("meta_test", savedir=str(directory))
    return f"Weights and state are there, the log is {TrainLog.FILES[0]}. Next: {test}"


def describe(config: Config, saved: Saved | None) -> str:
    """What the terminal shows first: choices that set a run apart from the 2020 release, and a doubtful rate."""
    where = f"resuming at iteration {int(saved.state.iteration)}" if saved else "starting"
    said = (
        f"{config.directory}: {where}; {config.method}, second_order {config.second_order}, episodes {config.episodes} "
        "(the 2020 release computes second_order tf1, episodes shared_classes)"
    )
    if config.spec.height > SMALL and config.inner_lr >= TOO_FAST:
        said += (
            f"\nnote: --inner_lr={config.inner_lr:g} suits images of 28 pixels; for 84 the paper has 0.01, and "
            f"with images of {config.spec.height} a model may learn nothing at this rate."
        )
    return said
