"""The figures beside the tables: learning curves of the runs, and how they withstand attacks."""

import pathlib

from tf_metadrop.analysis.paired import SAME_RATE
from tf_metadrop.analysis.published import robustness as accuracies_under_attack
from tf_metadrop.analysis.set_apart import most
from tf_metadrop.config import identity
from tf_metadrop.figures import curves, learning, robustness
from tf_metadrop.figures.style import COMPARED
from tf_metadrop.runs.finished import Run

HELD_OUT = {"meta_val": "accuracy on validation classes (%)", "meta_test": "accuracy on test classes (%)"}


def draw(runs: list[Run], published: dict, output: pathlib.Path) -> dict[str, pathlib.Path]:
    """Everything that can be drawn of these `finished.Run`s: {title: file}.

    Args:
      published: `published.accuracies()`.
    """
    written: dict[str, pathlib.Path] = {}
    for task in sorted({run.task for run in runs}):
        name, title = "{}_{}way{}shot".format(*task), "{} {}-way {}-shot".format(*task)
        known = [known for method in COMPARED for known in numbers(published, task, method)]
        same = usual([run for run in runs if run.task == task])
        compared = [run for run in same if run.config.method in COMPARED]
        main = main_rates(same)
        exact = [run for run in same if run.gradient == "exact" and run.config.inner_lr in main[kind(run)]]
        pairs = [("gradients", compared)]
        if len({run.config.method for run in exact} - set(COMPARED)) > 0:
            pairs.append(("methods", exact))
        for what, chosen in pairs:
            for split, y_label in HELD_OUT.items():
                if found := evaluations(chosen, split, what == "gradients"):
                    path, heading = f"learning_{name}_{what}", f"{title}, {what}"
                    if heading in written:
                        path, heading = f"{path}_on_test_classes", f"{heading}, evaluated on test classes"
                    written[heading] = learning.draw(output / f"{path}.png", found, known, y_label)
    return written | {f"{path.stem.replace('_', ' ')}": path for path in draw_attacks(runs, output)}


def usual(runs: list[Run]) -> list[Run]:
    """Those with the normalisation and the precision that most have; the tables compare the others with them."""
    for name in SAME_RATE:
        common = most(identity.value(run.trained_with, name) for run in runs)
        runs = [run for run in runs if identity.value(run.trained_with, name) in {*common, None}]
    return runs


def numbers(published: dict, task: tuple, method: str) -> list[learning.Published]:
    """What others published for a task and method."""
    cells = published.get((*task, method), {})
    return [learning.Published(source, method, float(text.split()[0])) for source, text in cells.items()]


def evaluations(runs: list[Run], split: str, gradients: bool) -> list[learning.Curve]:
    """The curves of those runs that were evaluated on this split while they trained.

    Labels are of the method (and the inner learning rate, if it is not its only `main_rates`, and what of its training
    most runs have otherwise) and, if they are asked for, of the gradients.
    """
    main, found = main_rates(runs), []
    drawn = [(run, curve) for run in runs if (curve := curves.load_any(run.directory).get(split))]
    names = "data_dir", *identity.of_training()
    told = lambda run: [identity.value(run.trained_with, name) for name in names]
    usual = {
        method: [most(values) for values in zip(*(told(r) for r, _ in drawn if r.config.method == method), strict=True)]
        for method in {run.config.method for run, _ in drawn}
    }
    for run, curve in sorted(drawn, key=lambda each: (each[0].config.method, each[0].gradient, str(each[0].seed))):
        line = run.gradient if run.config.method in COMPARED else "exact"
        rate = run.config.inner_lr
        name = run.config.method + ("" if main[kind(run)] == {rate} else f" (inner_lr {rate:g})")
        for setting, value, common in zip(names, told(run), usual[run.config.method], strict=True):
            if value is not None and common != {value}:
                name += f" ({value})" if isinstance(value, str) else f" ({setting} {value:g})"
        label = f"{name}, {run.gradient}" if gradients else name
        found.append(learning.Curve(label, line, name, curve["iter"], curve["hours"], curve["acc"]))
    return found


def kind(run: Run) -> tuple[str, str]:
    """(method, gradient)."""
    return run.config.method, run.gradient


def main_rates(runs: list[Run]) -> dict[tuple[str, str], set[float]]:
    """The inner learning rate that most runs of each `kind` have; several rates, if as many have each."""
    rates: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        rates.setdefault(kind(run), []).append(run.config.inner_lr)
    return {of: most(found) for of, found in rates.items()}


def draw_attacks(runs: list[Run], output: pathlib.Path) -> list[pathlib.Path]:
    """A robustness figure for each task of the attacked runs among these; returns the files written."""
    attacked, written = [run for run in runs if run.attack], []
    for task in sorted({run.task for run in attacked}):
        same = [run for run in attacked if run.task == task]
        written.append(output / "robustness_{}_{}way{}shot.png".format(*task))
        robustness.draw(written[-1], labels(same), same[0].config, accuracies_under_attack(same[0].config))
    return written


def labels(runs: list[Run]) -> dict[str, list[dict]]:
    """{label: rows} of attacked runs: the method, where that is not enough also steps, iterations, or the folder."""

    def names(run: Run) -> list[str]:
        steps = run.attack[0]["steps"]
        steps = f"{steps} step{'s' * (steps > 1)}"
        return [f"{run.config.method}{more}" for more in ("", f" ({steps})", f" ({run.iterations} its, {steps})")]

    every = [name for run in runs for name in names(run)]
    found = {}
    for run in runs:
        alone = [name for name in names(run) if every.count(name) == 1]
        found[alone[0] if alone else f"{run.config.method} ({run.directory.name})"] = run.attack
    return found
