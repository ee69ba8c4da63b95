"""Tables of sweeps, from the results.csv that `metadrop sweep` writes."""

import csv
import io
import pathlib

from tf_metadrop.util import text
from tf_metadrop.util.interval import plus_minus

LEGEND = "chosen: the best trial on validation classes, among those that differ only in the last flag of the sweep."
MEASURED = "val_accuracy", "val_interval", "test_accuracy", "test_interval", "savedir"


def tables(folders: list[pathlib.Path]) -> dict[str, list[dict]]:
    """{title: rows} for every sweep in the folders and their subfolders."""
    found = {}
    for path in sorted({path for folder in folders for path in folder.rglob("results.csv")}):
        trials = list(csv.DictReader(io.StringIO(text.read(path))))
        if trials and set(MEASURED) <= trials[0].keys():
            found[f"Sweep {path.parent.name}, accuracy in per cent"] = rows(trials)
    return found


def rows(trials: list[dict]) -> list[dict]:
    """The trials in the order of the file, with a mark for those that were chosen."""
    swept = [name for name in trials[0] if name not in MEASURED]
    kind = lambda trial: tuple(trial[name] for name in swept[:-1])
    best: dict[tuple, dict] = {}
    for trial in trials:
        if kind(trial) not in best or float(trial["val_accuracy"]) > float(best[kind(trial)]["val_accuracy"]):
            best[kind(trial)] = trial
    return [
        {name: trial[name] for name in swept}
        | {
            f"{split} classes": plus_minus(
                float(trial[f"{name}_accuracy"]), float(half) if (half := trial[f"{name}_interval"]) else None
            )
            for split, name in (("validation", "val"), ("test", "test"))
        }
        | {"chosen": "yes" if trial is best[kind(trial)] else ""}
        for trial in trials
    ]
