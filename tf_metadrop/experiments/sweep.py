"""Sweeps with Optuna; `metadrop sweep` is their command line."""

import csv
import functools
import hashlib
import json
import math
import pathlib
import sqlite3
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tf_metadrop.errors import UsageError
from tf_metadrop.experiments.sweep_definition import Definition, suggest
from tf_metadrop.util import lock
from tf_metadrop.util.interval import plus_minus
from tf_metadrop.util.subprocesses import finish, start

DEFAULT_TRIALS = 20
POLL = 1.0  # seconds between two reads of a trial's metrics
STALE = 60  # seconds after which a trial of a process that died is started again
STARTUP = 4  # trials that are never stopped early


def run(
    definition: Definition, out: pathlib.Path, storage: str | None, n_trials: int | None, pruning: bool, seed: int
) -> None:
    """Runs trials until the grid is complete, or their number is reached; then writes and prints the results.

    Raises:
      UsageError: the folder or the database cannot be used, or trials failed; other trials' results are still written.
    """
    import optuna
    from tqdm import tqdm

    from tf_metadrop.figures import sweep_curves

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # the reason of a failure is printed here
    out.mkdir(parents=True, exist_ok=True)
    with lock.waited_for(out, "study"):  # two processes would make the same tables
        study = open_study(definition, out, storage, pruning, seed)
    total = size(definition)
    if n_trials is not None:
        total = min(begun(study) + n_trials, total if definition.method == "grid" else sys.maxsize)
    with tqdm(total=total, initial=min(begun(study) - len(failed(study)), total), unit="trial") as bar:

        def tell(study: Any, trial: Any) -> None:
            bar.update()
            bar.write(sentence(trial), file=sys.stdout)

        perform(study, definition, out, seed, total, tell)
    if broken := failed(study):
        reason = broken[-1].user_attrs.get("failed", "it was interrupted")
        message = f"{len(broken)} trial(s) in {out} failed, the last: {reason}; the same command tries again."
        if not finished(study):
            raise UsageError(message)
    rows = write(study, definition, out)
    sweep_curves.draw(out / "sweep.png", rows, list(definition.parameters))
    best = max(rows, key=lambda row: row["val_accuracy"])
    chosen = ", ".join(f"{name}={best[name]}" for name in definition.parameters)
    print(f"wrote {out}/results.csv and sweep.png ({len(rows)} complete trials)")
    print(
        f"chosen on val: {chosen} (val {plus_minus(best['val_accuracy'], best['val_interval'], sign='+-')}): "
        f"test {plus_minus(best['test_accuracy'], best['test_interval'], sign='+-')}"
    )
    if broken:
        raise UsageError(message)


def perform(
    study: Any, definition: Definition, out: pathlib.Path, seed: int, total: int, tell: Callable[[Any, Any], None]
) -> None:
    """Runs trials until `total` have started, here or in other processes; then retries those that failed before."""
    import optuna

    earlier, patience = failed(study), time.monotonic() + STALE + 2 * POLL
    while True:
        optuna.storages.fail_stale_trials(study)  # and queues them again, as WAITING
        states = {trial.state.name for trial in study.trials}
        if begun(study) >= total and "WAITING" not in states:
            left = {key(trial): trial for trial in failed(study)}
            again = next((trial for trial in earlier if key(trial) in left), None)
            if again:
                earlier.remove(again)
                study.add_trial(optuna.create_trial(state=optuna.trial.TrialState.WAITING, **what_makes(again)))
            elif "RUNNING" in states and time.monotonic() < patience:  # perhaps by a process that was killed
                time.sleep(POLL)
                continue
            else:
                return

        def of_its_number(trial: Any) -> float:
            if definition.method != "grid":  # whose sampler chose when the trial was made
                study.sampler = sampler(definition, seed, trial.number)
            return objective(trial, definition, out)

        study.optimize(of_its_number, n_trials=1, callbacks=[tell], catch=(UsageError,))
        if failed(study) and not finished(study):
            return  # every trial would fail with the same message


def size(definition: Definition) -> int:
    """The number of trials of a sweep."""
    if definition.method != "grid":
        return DEFAULT_TRIALS
    return math.prod(len(wanted["values"]) for wanted in definition.parameters.values())


def sampler(definition: Definition, seed: int, number: int) -> Any:
    """Optuna's sampler for trial `number`; each trial has another seed, so that a resumed sweep repeats no trial."""
    from optuna import samplers

    if definition.method == "grid":
        return samplers.GridSampler({name: w["values"] for name, w in definition.parameters.items()}, seed=seed)
    of_trial = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return (samplers.RandomSampler if definition.method == "random" else samplers.TPESampler)(seed=of_trial)


def open_study(definition: Definition, out: pathlib.Path, storage: str | None, pruning: bool, seed: int) -> Any:
    """Opens the Optuna study of the sweep, or creates it."""
    import optuna

    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # about the heartbeat
    try:
        file = functools.partial(
            sqlite3.connect, out / "study.db", check_same_thread=False
        )  # a URL would interpret characters such as ? in the path
        kept = optuna.storages.RDBStorage(
            storage or "sqlite:///study.db",
            engine_kwargs=None if storage else {"creator": file},
            heartbeat_interval=STALE // 2,
            grace_period=STALE,
            heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
        )
    except Exception as error:  # any exception of the database's driver
        reason = " ".join(str(error).split())[:200]
        where, fix = str(out / "study.db"), "move it away, or give another --out"
        where, fix = (f"--storage={storage}", "give another one") if storage else (where, fix)
        raise UsageError(f"{where} cannot be used ({reason}): {fix}.") from error
    pruner = optuna.pruners.MedianPruner(STARTUP) if pruning else optuna.pruners.NopPruner()
    text = json.dumps([definition.method, definition.parameters, definition.fixed])
    study = optuna.create_study(
        storage=kept, sampler=sampler(definition, seed, 0), pruner=pruner, study_name=out.name, direction="maximize",
        load_if_exists=True,
    )  # fmt: skip
    if study.user_attrs.setdefault("definition", text) != text:
        raise UsageError(f"{out} holds another sweep: give a new --out, or the definition of that sweep.")
    study.set_user_attr("definition", text)
    return study


def finished(study: Any) -> list:
    """The trials that need not be repeated: complete, or stopped early."""
    return [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]


def failed(study: Any) -> list:
    """The last trial of every set of flags that failed or was interrupted and has not been finished since."""
    last = {key(trial): trial for trial in study.trials}
    done = {key(trial) for trial in finished(study)}
    return [trial for name, trial in last.items() if trial.state.name == "FAIL" and name not in done]


def begun(study: Any) -> int:
    """The number of sets of flags with a trial, in any state."""
    return len({key(trial) for trial in study.trials})


def key(trial: Any) -> Any:
    """A key that a trial and its repetitions share."""
    return trial.system_attrs.get("grid_id", trial.system_attrs.get("failed_trial", trial.number))


def what_makes(trial: Any) -> dict[str, Any]:
    """The properties that a repetition of a trial takes from it."""
    attributes = {"failed_trial": trial.number, **trial.system_attrs}
    return dict(params=trial.params, distributions=trial.distributions, system_attrs=attributes)


def objective(trial: Any, definition: Definition, out: pathlib.Path) -> float:
    """Trains, then tests on val and on test; returns the accuracy on val. A failure is noted in the trial."""
    try:
        return train_and_test(trial, definition, out)
    except UsageError as error:
        trial.set_user_attr("failed", str(error).rstrip("."))
        raise


def train_and_test(trial: Any, definition: Definition, out: pathlib.Path) -> float:
    """Trains and tests a trial, as `objective` says; the name of its savedir is a digest of its flags."""
    import optuna

    flags = [*definition.fixed, *[f"--{k}={v}" for k, v in suggest(trial, definition.parameters).items()]]
    savedir = out / hashlib.sha256(json.dumps(flags).encode()).hexdigest()[:12]
    trial.set_user_attr("savedir", str(savedir))
    savedir.mkdir(exist_ok=True)
    common = [*flags, f"--savedir={savedir}", "--eval_split=val"]
    if not train(trial, common, savedir):
        raise optuna.TrialPruned
    for split in ("val", "test"):
        result = tested(savedir / f"meta_{split}.json")
        if result is None:
            finish(start([*common, "--mode=meta_test", f"--eval_split={split}"], savedir), savedir)
            result = tested(savedir / f"meta_{split}.json") or {}
        trial.set_user_attr(f"{split}_accuracy", result["accuracy"])
        trial.set_user_attr(f"{split}_interval", result["interval"])
    return trial.user_attrs["val_accuracy"]


def tested(path: pathlib.Path) -> dict[str, Any] | None:
    """The content of a test's JSON file; None if there is none, or it was not written to its end."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def train(trial: Any, flags: list[str], savedir: pathlib.Path) -> bool:
    """Trains, and reports the accuracy on val to Optuna at each evaluation; False if Optuna stops the trial."""
    process, told = start([*flags, "--mode=meta_train"], savedir), set()
    try:
        while True:
            ended = process.poll() is not None
            for iteration, accuracy in evaluations(savedir):
                if iteration not in told:
                    told.add(iteration)
                    trial.report(accuracy, iteration)
            if ended:
                finish(process, savedir)
                return True
            if trial.should_prune():
                return False
            time.sleep(POLL)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def evaluations(savedir: pathlib.Path) -> list[tuple[int, float]]:
    """(iteration, accuracy on val) of each evaluation so far, without a line that is being written."""
    path = savedir / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    numbers = [json.loads(line) for line in lines]
    return [(found["iter"], found["val_acc"]) for found in numbers if "val_acc" in found]


def sentence(trial: Any) -> str:
    """The result of a trial, as a line for the terminal."""
    flags = ", ".join(f"{name}={value}" for name, value in trial.params.items())
    if trial.state.name == "PRUNED":
        return f"trial {trial.number}: {flags}: stopped at iteration {trial.last_step}, below the others' median"
    if trial.state.name == "FAIL":
        return f"trial {trial.number}: {flags}: failed: {trial.user_attrs['failed']}"
    accuracies = (f"{split} {trial.user_attrs[f'{split}_accuracy']:.2f}" for split in ("val", "test"))
    return f"trial {trial.number}: {flags}: {', '.join(accuracies)} %"


def write(study: Any, definition: Definition, out: pathlib.Path) -> list[dict[str, Any]]:
    """Writes results.csv, with a row for each set of flags that was trained to its end, sorted by the flags."""
    rows = {}
    for trial in study.trials:
        if trial.state.name == "COMPLETE":
            numbers = {
                f"{s}_{n}": trial.user_attrs[f"{s}_{n}"] for s in ("val", "test") for n in ("accuracy", "interval")
            }
            rows[tuple(trial.params.values())] = {**trial.params, **numbers, "savedir": trial.user_attrs["savedir"]}
    if not rows:
        raise UsageError(f"no trial in {out} was trained to its end: start the sweep again, or with --no_pruning.")
    ordered = sorted(rows.values(), key=lambda row: [(str(type(row[n])), row[n]) for n in definition.parameters])
    with open(out / "results.csv", "w", newline="") as file:
        table = csv.DictWriter(file, list(ordered[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(ordered)
    return ordered
