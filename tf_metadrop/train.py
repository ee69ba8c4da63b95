"""Meta-training: Algorithm 1 of the paper around the compiled step, with evaluations, logs and checkpoints."""

import contextlib
import pathlib

import numpy as np

from tf_metadrop import checkpoint, interruption, model, parallel, random
from tf_metadrop import method as methods
from tf_metadrop.checkpoint import Saved
from tf_metadrop.config import Config
from tf_metadrop.data import DATASETS, load_split
from tf_metadrop.errors import UsageError
from tf_metadrop.evaluate import Evaluation, Images
from tf_metadrop.execution import prepare
from tf_metadrop.learner import MetaLearner
from tf_metadrop.meta import initial_state, make_train_step
from tf_metadrop.tracking import TrainLog, header
from tf_metadrop.workers import Team, watch

FAR_BEHIND = 10  # iterations between two looks at the results: each look makes a GPU wait


def meta_train(config: Config) -> MetaLearner:
    """Meta-trains, or goes on with the unfinished run in the savedir.

    Writes into `config.directory`: meta_train.log, metrics.jsonl, timing.jsonl, and every save_freq iterations
    state.npz and the weights as model.* (TF1_BEHAVIOUR, "Files it writes").

    Returns:
      The trained MetaLearner.
    Raises:
      UsageError: the savedir holds another run, the data or --devices cannot be used, the loss stops being a number,
        or another worker stops.
    """
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
            print(f"{directory} holds this run, finished: nothing to train. Next: --mode=meta_test.")
        return MetaLearner(config, saved.state.params)
    hold_out = config.eval_split == "val"
    train_images = Images(load_split(config.dataset, config.data_dir, "train", hold_out), config)
    eval_images = Images(load_split(config.dataset, config.data_dir, config.eval_split, hold_out), config)
    if team.chief:
        print(describe(config, saved))
        directory.mkdir(parents=True, exist_ok=True)
    with TrainLog(directory, config, saved and saved.progress) if team.chief else contextlib.nullcontext() as log:
        state = run(team, config, train_images, eval_images, log, saved)
    return MetaLearner(config, state.params)


def run(team, config, train_images, eval_images, log, saved):
    """Iterations 0..n_train_iters, or those that are left; returns the last State. log is None but on the chief."""
    method, directory = methods.load(config), config.directory
    episodes = np.random.RandomState(config.seed)
    if saved:
        state = saved.state
        episodes.set_state(saved.random)
    else:
        weights_key = random.key(config.seed, random.INITIAL_WEIGHTS)
        weights = lambda: model.initial(DATASETS[config.dataset], config.way, weights_key, method)
        state = initial_state(model.cast(team.from_chief(weights), config.dtype), method)
    step = make_train_step(config, method, parallel.sharded(team.strategy, config))
    key = random.key(config.seed, random.TRAIN)
    evaluation = Evaluation(config, method, eval_images, random.EVALUATE)
    behind = []  # iterations that a GPU may still be computing while the next ones are handed to it

    def due(iteration):
        return not (iteration % config.eval_freq and iteration % config.save_freq) or iteration == config.n_train_iters

    def account(iteration, loss, accs, state, drawn):
        check([loss], iteration, directory, loss)
        if log is None:  # the chief evaluates and saves meanwhile; the next step waits for it
            return
        log.trained(iteration, float(loss), float(np.mean(accs)))
        if iteration % config.eval_freq == 0:
            losses, accuracies = evaluation.run(state.params, config.n_eval_batches)
            log.evaluated(iteration, config.eval_split, float(losses.mean()), float(accuracies.mean()))
        if iteration % config.save_freq == 0 or iteration == config.n_train_iters:
            check(state.params.values(), iteration, directory, loss)
            checkpoint.save(directory, Saved(state, drawn, config.as_dict(), log.progress()))

    with contextlib.closing(train_images.stream(episodes)) as stream:
        for iteration, (indices, drawn) in zip(
            range(int(state.iteration), config.n_train_iters + 1), stream, strict=False
        ):
            interruption.check()
            state, loss, accs = step(state, train_images.flat, *indices, key)
            behind.append((iteration, loss, accs, *((state, drawn) if due(iteration) else (None, None))))
            if len(behind) == FAR_BEHIND or due(iteration):
                for late in behind:
                    account(*late)
                behind.clear()
    team.from_chief(lambda: None)  # no worker says that it has done before the last checkpoint is written
    return state


def check(numbers, iteration: int, directory: pathlib.Path, loss) -> None:
    """Raises UsageError if some of these numbers are none."""
    if not all(np.isfinite(n).all() for n in numbers):
        raise UsageError(
            f"the loss is {float(loss)} at iteration {iteration} of {directory}, or the step after it gave weights "
            "that are no numbers: lower --inner_lr or --meta_lr and give a new --savedir; older checkpoints are kept."
        )


def find_run(directory: pathlib.Path, config: Config) -> Saved | None:
    """The unfinished or finished run in the savedir that this config continues; None if there is none.

    Raises:
      UsageError: the savedir holds something that training would overwrite.
    """
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"--savedir={directory} is a file: give a folder.")
    kind = checkpoint.kind(directory)
    if kind != "ours" and is_started(directory, config):
        return None
    if kind == "tf1":
        raise UsageError(
            f"{directory} holds a checkpoint of the TF1 program: give another --savedir, or it is overwritten."
        )
    if kind is None:
        if any((directory / name).exists() for name in TrainLog.FILES):
            raise UsageError(f"{directory} holds logs of another run, but no checkpoint: give another --savedir.")
        return None
    if not config.resume:
        raise UsageError(f"{directory} holds a run and --noresume forbids to go on with it: give another --savedir.")
    saved = checkpoint.load(directory)
    if different := config.differences(saved.config):
        list_of = lambda settings: ", ".join(f"--{name}={settings[name]}" for name in different)
        theirs, ours = list_of({**Config().as_dict(), **saved.config}), list_of(config.as_dict())
        raise UsageError(f"{directory} holds a run with {theirs}, not {ours}: give the same, or another --savedir.")
    model.fitting(saved.state.params, DATASETS[config.dataset], config.way, str(directory), methods.load(config))
    return saved


def is_started(directory: pathlib.Path, config: Config) -> bool:
    """Whether the logs are of this very run, killed before its first checkpoint was complete: it starts again."""
    log, first_lines = directory / TrainLog.FILES[0], header(config)
    return log.exists() and first_lines.startswith(log.read_bytes()[: len(first_lines)])


def describe(config: Config, saved: Saved | None) -> str:
    """One line for the terminal about the choices that set a run apart from the 2020 release."""
    where = f"resuming at iteration {int(saved.state.iteration)}" if saved else "starting"
    return (
        f"{config.directory}: {where}; {config.method}, second_order {config.second_order}, episodes {config.episodes} "
        "(the 2020 release computes second_order tf1, episodes shared_classes)"
    )
