"""Sweeps of main.py on Optuna, from W&B's sweep definitions; see sweep.py."""

import csv
import hashlib
import json
import pathlib
import subprocess
import sys
import time
import warnings
from typing import Any, NamedTuple

from tf_metadrop.errors import UsageError

MAIN = pathlib.Path(__file__).parent.parent / "main.py"
DEFAULT_TRIALS = 20
POLL = 1.0  # seconds between two looks at a trial's metrics
STALE = 60  # seconds after which a trial of a process that died is taken up again
STARTUP = 4  # trials that are never stopped early


class Definition(NamedTuple):
    """What a sweep tries."""

    method: str  # grid, random or bayes
    parameters: dict[str, dict]  # flag -> its `values`, or `min`, `max` and `distribution`
    fixed: list[str]  # flags of main.py for every trial


def load(path: pathlib.Path, flags=()) -> Definition:
    """Reads a sweep definition; `flags` are added to every trial's.

    Raises:
      UsageError: the file is none, or asks for something that is not understood here.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML ({' '.join(str(error).split())}): give a sweep definition.") from error
    if not isinstance(content, dict) or not isinstance(content.get("parameters"), dict):
        raise UsageError(f"{path} has no parameters: give a sweep definition as those in flags/sweeps.")
    method = content.get("method")
    if method not in ("grid", "random", "bayes"):
        raise UsageError(f"{path}: method is {method}, not grid, random or bayes.")
    fixed = [part for part in content.get("command", []) if part.startswith("--")]
    parameters = {}
    for name, wanted in content["parameters"].items():
        if not isinstance(wanted, dict) or not wanted.keys() & {"value", "values", "min"}:
            raise UsageError(f"{path}: {name} needs value, values, or min and max.")
        if "value" in wanted:
            fixed.append(f"--{name}={wanted['value']}")
        elif "values" in wanted or (method != "grid" and "max" in wanted):
            parameters[name] = wanted
        else:
            raise UsageError(f"{path}: {name} needs values (method grid), or min and max.")
    if not parameters:
        raise UsageError(f"{path} varies nothing: give a parameter several values.")
    return Definition(method, parameters, [*fixed, *flags])


def suggest(trial, parameters) -> dict[str, Any]:
    """A trial's flags."""
    found = {}
    for name, wanted in parameters.items():
        if "values" in wanted:
            found[name] = trial.suggest_categorical(name, wanted["values"])
        elif isinstance(wanted["min"], int) and isinstance(wanted["max"], int):
            found[name] = trial.suggest_int(name, wanted["min"], wanted["max"])
        else:
            log = "log" in wanted.get("distribution", "")
            found[name] = trial.suggest_float(name, wanted["min"], wanted["max"], log=log)
    return found


def run(definition: Definition, out: pathlib.Path, storage: str | None, n_trials, pruning: bool, seed: int) -> None:
    """Runs trials until the grid, or their number, is done; then writes and prints what was found."""
    import optuna
    from tqdm import tqdm

    from tf_metadrop.figures import sweep_curves

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    out.mkdir(parents=True, exist_ok=True)
    study = open_study(definition, out, storage, pruning, seed)
    grid = 1
    for wanted in definition.parameters.values():
        grid *= len(wanted.get("values", [0]))
    total = n_trials or (grid if definition.method == "grid" else DEFAULT_TRIALS)
    done = len(finished(study)) if not n_trials else 0
    with tqdm(total=total, initial=min(done, total), unit="trial") as bar:

        def tell(study, trial):
            bar.update()
            bar.write(sentence(trial), file=sys.stdout)

        if done < total:
            study.optimize(lambda t: objective(t, definition, out), n_trials=total - done, callbacks=[tell])
    rows = write(study, definition, out)
    sweep_curves.draw(out / "sweep.png", rows, list(definition.parameters))
    best = max(rows, key=lambda row: row["val_accuracy"])
    chosen = ", ".join(f"{name}={best[name]}" for name in definition.parameters)
    print(f"wrote {out}/results.csv and sweep.png ({len(rows)} trials to the end)")
    print(
        f"chosen on val: {chosen} (val {best['val_accuracy']:.2f} +- {best['val_interval']:.2f}): "
        f"test {best['test_accuracy']:.2f} +- {best['test_interval']:.2f}"
    )


def open_study(definition: Definition, out: pathlib.Path, storage, pruning: bool, seed: int):
    """The sweep's Optuna study, new or as it was left."""
    import optuna

    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # of the heartbeat
    samplers = optuna.samplers
    if definition.method == "grid":
        sampler = samplers.GridSampler({name: w["values"] for name, w in definition.parameters.items()}, seed=seed)
    else:
        sampler = (samplers.RandomSampler if definition.method == "random" else samplers.TPESampler)(seed=seed)
    try:
        kept = optuna.storages.RDBStorage(
            storage or f"sqlite:///{out / 'study.db'}",
            heartbeat_interval=STALE // 2,
            grace_period=STALE,
            heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
        )
    except Exception as error:  # whatever the database's driver raises
        raise UsageError(f"--storage={storage} cannot be used ({' '.join(str(error).split())[:200]}).") from error
    pruner = optuna.pruners.MedianPruner(STARTUP) if pruning else optuna.pruners.NopPruner()
    text = json.dumps([definition.method, definition.parameters, definition.fixed])
    study = optuna.create_study(
        storage=kept, sampler=sampler, pruner=pruner, study_name=out.name, direction="maximize", load_if_exists=True
    )
    if study.user_attrs.setdefault("definition", text) != text:
        raise UsageError(f"{out} holds another sweep: give a new --out, or the definition that it was made with.")
    study.set_user_attr("definition", text)
    return study


def finished(study) -> list:
    """The trials that need not be run again: done, or stopped early."""
    return [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]


def objective(trial, definition: Definition, out: pathlib.Path) -> float:
    """Trains, then tests on val and on test; returns the accuracy on val. Its savedir is named by its flags."""
    import optuna

    flags = [*definition.fixed, *[f"--{k}={v}" for k, v in suggest(trial, definition.parameters).items()]]
    savedir = out / hashlib.sha256(json.dumps(flags).encode()).hexdigest()[:12]
    trial.set_user_attr("savedir", str(savedir))
    savedir.mkdir(exist_ok=True)
    common = [*flags, f"--savedir={savedir}", "--eval_split=val"]
    if not train(trial, common, savedir):
        raise optuna.TrialPruned
    for split in ("val", "test"):
        path = savedir / f"meta_{split}.json"
        if not path.exists():
            finish(start([*common, "--mode=meta_test", f"--eval_split={split}"], savedir), savedir)
        result = json.loads(path.read_text())
        trial.set_user_attr(f"{split}_accuracy", result["accuracy"])
        trial.set_user_attr(f"{split}_interval", result["interval"])
    return trial.user_attrs["val_accuracy"]


def train(trial, flags: list[str], savedir: pathlib.Path) -> bool:
    """Trains and tells Optuna the accuracy on val at each evaluation; False if it says that the trial is hopeless."""
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
    """(iteration, accuracy on val) so far; a line that is being written waits."""
    path = savedir / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    numbers = [json.loads(line) for line in lines]
    return [(found["iter"], found["val_acc"]) for found in numbers if "val_acc" in found]


def start(flags: list[str], savedir: pathlib.Path, before=None) -> subprocess.Popen:
    """main.py in a process of its own, which calls `before` first; it prints to output.log in its savedir."""
    with open(savedir / "output.log", "a") as log:
        return subprocess.Popen([sys.executable, MAIN, *flags], stdout=log, stderr=subprocess.STDOUT, preexec_fn=before)


def finish(process: subprocess.Popen, savedir: pathlib.Path) -> None:
    """Waits for it; raises UsageError with its last line if it failed."""
    if process.wait():
        last = (savedir / "output.log").read_text(errors="replace").strip().rsplit("\n", 1)[-1]
        raise UsageError(f"a run ended with code {process.returncode}, see {savedir}/output.log: {last}")


def sentence(trial) -> str:
    """What became of a trial, for the terminal."""
    flags = ", ".join(f"{name}={value}" for name, value in trial.params.items())
    if trial.state.name == "PRUNED":
        return f"trial {trial.number}: {flags}: stopped at iteration {trial.last_step}, below the others' median"
    accuracies = (f"{split} {trial.user_attrs[f'{split}_accuracy']:.2f}" for split in ("val", "test"))
    return f"trial {trial.number}: {flags}: {', '.join(accuracies)} %"


def write(study, definition: Definition, out: pathlib.Path) -> list[dict[str, Any]]:
    """results.csv: a row for each set of flags that was trained to the end, in the order of the flags."""
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
