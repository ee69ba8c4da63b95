"""Makes one page of HTML about a set of runs: settings, curves, tables with the published results, and figures.

It includes every savedir in the folders, finished or not. The page needs no network and no other file.
"""

import base64
import dataclasses
import json
import pathlib
import tempfile

from tf_metadrop.analysis import table_figures, tables
from tf_metadrop.config import identity
from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError
from tf_metadrop.figures import boundary, curves
from tf_metadrop.runs import finished, tf1_checkpoint
from tf_metadrop.util import text

TEMPLATE = pathlib.Path(__file__).parent / "report.html.jinja"
MARKS = curves.LOG, "meta_test.json", "attack.json", "export.pkl"  # a folder with one of these files is a savedir
SHOWN_TASKS = 3  # number of tasks with a figure of their decision boundary


@dataclasses.dataclass(frozen=True)
class Shown:
    """A figure of the page."""

    title: str
    data: str  # the file, base64
    kind: str  # png or gif


def savedirs(folders: list[pathlib.Path]) -> dict[str, pathlib.Path]:
    """Finds every savedir in the folders and their subfolders; returns {unique name: folder}.

    Raises:
      UsageError: a folder is missing, or there is no savedir.
    """
    found = {}
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder: give folders of savedirs.")
        for directory in sorted({path.parent for mark in MARKS for path in folder.rglob(mark)}):
            found[directory.resolve()] = directory
    if not found:
        raise UsageError(f"{folders[0]} holds no savedir: train first.")
    names = [directory.name for directory in found]
    return {
        directory.name if names.count(directory.name) == 1 else str(shown): shown for directory, shown in found.items()
    }


def settings(runs: dict[str, pathlib.Path]) -> tuple[list[dict], dict]:
    """The settings: (a row for each run with those that differ; those that all runs share)."""
    of_run = {}
    for label, directory in runs.items():
        path = directory / curves.LOG
        logged = tf1_checkpoint.header(text.read(path, lenient=True)) if path.exists() else {}
        of_run[label] = {name: value for name, value in logged.items() if name not in identity.local()}
        if not logged and (directory / "meta_test.json").exists():
            known = json.loads((directory / "meta_test.json").read_text())["trained_with"]
            of_run[label] = {name: str(value) for name, value in known.items() if name not in identity.local()}
    names = list(dict.fromkeys([field.name for field in dataclasses.fields(Config)]))
    names = [name for name in names if any(name in values for values in of_run.values())]
    shared = lambda name: len({values.get(name) for values in of_run.values()}) == 1
    differing = [name for name in names if not shared(name)]
    rows = [{"run": label, **{name: values.get(name, "") for name in differing}} for label, values in of_run.items()]
    first = next(iter(of_run.values()))
    return rows, {name: first[name] for name in names if shared(name)}


def figures(runs: dict[str, pathlib.Path], tested: list[finished.Run]) -> list[Shown]:
    """Draws all figures of the runs for the page; the files are temporary."""
    shown = []
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder)
        logged = curves.load_all(runs)
        if logged:
            shown.append(
                read("Training: loss and accuracy", curves.draw(out / "curves.png", logged, curves.methods(runs)))
            )
            if any(curves.seconds_per_iteration(found) for found in logged.values()):
                shown.append(read("Cost of training", curves.draw_cost(out / "cost.png", logged)))
        for title, path in table_figures.draw_attacks(tested, out).items():
            shown.append(read(title, path))
        for label, directory in runs.items():
            if (directory / "export.pkl").exists():
                for number, task in enumerate(boundary.load(directory / "export.pkl")[:SHOWN_TASKS]):
                    row = boundary.draw_row(out / f"row{number}.png", boundary.projections(task, 0), task)
                    shown.append(read(f"{label}: decision boundary along the inner loop, task {number}", row))
            for path in sorted((directory / "plot" / "noise").glob("layer*.*")):
                shown.append(read(f"{label}: features under noise, block {path.stem.removeprefix('layer')}", path))
    return shown


def read(title: str, path: pathlib.Path) -> Shown:
    """Reads a figure from its file."""
    return Shown(title, base64.b64encode(path.read_bytes()).decode(), path.suffix[1:])


def page(folders: list[pathlib.Path]) -> str:
    """The report as HTML; raises UsageError."""
    import jinja2

    runs = savedirs(folders)
    is_finished = lambda path: (path / "meta_test.json").exists() or (path / "attack.json").exists()
    tested = [finished.load(path) for path in runs.values() if is_finished(path)]
    tasks = {config.task_name for run in tested for config in (run.config, run.attacked) if config}
    found = {title: [row for row in rows if row["task"] in tasks] for title, rows in tables.tables(tested).items()}
    differing, shared = settings(runs)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text())
    return template.render(
        runs=runs,
        differing=differing,
        shared=shared,
        tables={title: rows for title, rows in found.items() if rows},
        figures=figures(runs, tested),
        legend=tables.LEGEND,
    )
