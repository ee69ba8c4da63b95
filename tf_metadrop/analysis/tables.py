"""Tables of finished runs beside the published numbers: accuracy, noise types, robustness.

  python -m tf_metadrop.table FOLDER ... [--output FOLDER]

Reads every savedir under the folders (meta_test.json, attack.json and what lies beside them) and prints the tables as
Markdown; --output also writes tables.md, with figures of the learning curves and of the attacks, and a CSV file for
each table there. results/README.md is made by

  python -m tf_metadrop.table results --output results --page README.md --preface results/learned.md
"""

import argparse
import csv
import dataclasses
import io
import json
import pathlib
import sys

from tf_metadrop.analysis import cost, learning_table, paired, sweep_table, table_figures
from tf_metadrop.cli import program
from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError
from tf_metadrop.figures import robustness
from tf_metadrop.runs import record

PUBLISHED = pathlib.Path(__file__).parent / "published" / "accuracy.csv"
SOURCES = {"paper": "paper", "authors_repository": "authors' repository", "report": "report"}
MAIN = "maml", "metadrop", "metasgd", "metasgd_metadrop"
TASK = "dataset", "way", "shot"
OURS = "ours", "gradient", "inner_lr", "seed", "iterations", "tasks", "run"
OF_TRAINING = (  # what a run is called after; its test may have others
    "maml", "noise_type", "noise_variant", "inner", "regularizer", "adv_train", "adv_norm", "adv_eps", "inner_lr",
)  # fmt: skip
NUMBERS = {  # that the tables take from a file
    "meta_test": ("accuracy", "interval", "episodes"),
    "attack": ("epsilon", "accuracy_percent", "ci95", "tasks", "steps", "restarts"),
}
LEGEND = "± half the 95 % interval over tasks. Empty: not published, or not run here. gradient: see --second_order."


@dataclasses.dataclass(frozen=True)
class Run:
    """A savedir that was meta-tested or attacked."""

    directory: pathlib.Path
    config: Config  # of the test, but for OF_TRAINING
    trained_with: dict  # settings of the training, as far as they are known
    test: dict | None  # what meta_test.json holds
    attack: list  # rows of attack.json

    @property
    def task(self):
        """(dataset, way, shot)."""
        return tuple(getattr(self.config, name) for name in TASK)

    @property
    def gradient(self) -> str:
        """Which meta-gradient the run was trained with; the TF1 program's has no such setting."""
        return self.trained_with.get("second_order", "TF1 program")

    @property
    def rate(self) -> str:
        """The inner learning rate, and that of the test where it had another."""
        tested = (self.test or {}).get("config", {}).get("inner_lr", self.config.inner_lr)
        return f"{self.config.inner_lr:g}" + (f", tested with {tested:g}" if tested != self.config.inner_lr else "")

    @property
    def seed(self) -> int | str:
        """The training's seed; "" if it is not known."""
        return self.trained_with.get("seed", "")

    @property
    def iterations(self) -> int | str:
        """The last iteration that its weights had seen, of an older file that its folder knows of; "" if unknown."""
        done = record.read(self.directory).get("iterations")
        of_folder = done - 1 if done else self.trained_with.get("n_train_iters", "")
        return self.trained_with.get("iteration", of_folder)


def find(folders: list[pathlib.Path]) -> list[Run]:
    """All finished runs under the folders.

    Raises:
      UsageError: a folder is missing or holds none, or a file is not what a run writes.
    """
    runs = []
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder: give folders of savedirs.")
        files = [path for name in ("meta_test.json", "attack.json") for path in folder.rglob(name)]
        if not files:
            raise UsageError(f"{folder} holds no meta_test.json or attack.json: run --mode=meta_test or attack first.")
        runs.extend(load(directory) for directory in sorted({path.parent for path in files}))
    return list({run.directory.resolve(): run for run in runs}.values())


def load(directory: pathlib.Path) -> Run:
    """One finished run."""
    found = {}
    for name in ("attack", "meta_test"):  # the settings are those of the test where there is one
        path = directory / f"{name}.json"
        if not path.exists():
            continue
        try:
            found[name] = json.loads(path.read_text())
            known = {field.name for field in dataclasses.fields(Config)}
            trained_with = dict(found[name]["trained_with"])
            settings = found[name]["config"] | {key: trained_with[key] for key in OF_TRAINING if key in trained_with}
            config = Config(**{key: value for key, value in settings.items() if key in known})
            for row in found[name]["rows"] if name == "attack" else [found[name]]:
                if not all(isinstance(row[number], (int, float)) for number in NUMBERS[name]):
                    raise ValueError("its numbers are none")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path} is not what --mode={name} writes ({error}): run that again.") from error
    return Run(directory, config, trained_with, found.get("meta_test"), found.get("attack", {}).get("rows", []))


def published() -> dict[tuple, dict[str, str]]:
    """Accuracies of others: {(dataset, way, shot, method): {source: "96.63 ± 0.13"}}."""
    found = {}
    with open(PUBLISHED, newline="") as file:
        for row in csv.DictReader(file):
            base, _, remark = row["method"].partition(" (")
            method = base.removeprefix("maml+")
            key = row["dataset"], int(row["way"]), int(row["shot"]), method
            text = f"{row['accuracy_percent']} ± {row['ci95']}" if row["ci95"] else row["accuracy_percent"]
            text += f" ({remark}" if remark else ""
            cells = found.setdefault(key, {})
            source = SOURCES[row["source"]]
            cells[source] = f"{cells[source]}; {text}" if source in cells else text
    return found


def accuracy_rows(runs: list[Run], wanted) -> list[dict]:
    """Rows of the accuracy tables: every published number and every run whose method `wanted` accepts."""
    theirs, rows = published(), []
    tested = [run for run in runs if run.test]
    keys = list(dict.fromkeys([*theirs, *[(*run.task, run.config.method) for run in tested]]))
    for key in sorted((key for key in keys if wanted(key[3])), key=lambda key: (key[0] != "omniglot", *key)):
        base = key[3].replace("_report", "")
        cells = {source: theirs.get((*key[:3], base), {}).get(source, "") for source in SOURCES.values()}
        head = {"task": f"{key[0]} {key[1]}-way {key[2]}-shot", "method": key[3]}
        ours = [run for run in tested if (*run.task, run.config.method) == key]
        for run in ours:
            t = run.test
            rows.append(
                {
                    **head, **cells, "ours": f"{t['accuracy']:.2f} ± {t['interval']:.2f}", "gradient": run.gradient,
                    "inner_lr": run.rate, "seed": run.seed,
                    "iterations": run.iterations, "tasks": t["episodes"],
                    "run": str(run.directory),
                }
            )  # fmt: skip
        if not ours:
            rows.append({**head, **cells, **dict.fromkeys(OURS, "")})
    return rows


def noise_rows(rows: list[dict]) -> list[dict]:
    """These rows of MAML and all noise types, where there is more than MAML and Meta-dropout to compare.

    Of those two only the runs by a meta-gradient that a run of another noise type has, if there is such a run.
    """
    gradients = {}  # by task: those of the other noise types' runs
    for row in rows:
        if row["method"] not in MAIN:
            gradients.setdefault(row["task"], set()).update({row["gradient"]} - {""})

    def belongs(row):
        wanted = gradients.get(row["task"])
        return wanted is not None and (row["method"] not in MAIN or not wanted or row["gradient"] in wanted)

    return [row for row in rows if belongs(row)]


def robustness_rows(runs: list[Run]) -> list[dict]:
    """Rows of the robustness table: accuracy of every attacked run, and of the paper's curve, by norm and radius."""
    rows = []
    for run in runs:
        for row in run.attack:
            curves = robustness.published(run.config, row["norm"])
            paper = dict(curves.get(robustness.paper_name(run.config.method), []))
            rows.append(
                {
                    "task": run.config.task_name, "norm": row["norm"],
                    "radius": row["epsilon"], "method": run.config.method, "paper": paper.get(row["epsilon"], ""),
                    "ours": f"{row['accuracy_percent']:.2f} ± {row['ci95']:.2f}", "gradient": run.gradient,
                    "seed": run.seed, "steps": row["steps"], "restarts": row["restarts"],
                    "tasks": row["tasks"], "run": str(run.directory),
                }
            )  # fmt: skip
    return sorted(rows, key=lambda row: (row["task"], row["norm"], row["method"], row["radius"]))


def tables(runs: list[Run]) -> dict[str, list[dict]]:
    """The tables, {title: rows}."""
    noise = [*MAIN[:2], "fixed_gaussian", "weight_gaussian", "independent_gaussian", "additive", "deterministic"]
    noise += [f"{name}_report" for name in noise]
    return {
        "Accuracy in per cent": accuracy_rows(runs, MAIN.__contains__),
        "Noise types": noise_rows(accuracy_rows(runs, noise.__contains__)),
        "Other methods": [row for row in accuracy_rows(runs, lambda m: m not in (*MAIN, *noise)) if row["ours"]],
        "Differences on the same tasks, in points of accuracy": paired.rows(runs),
        "Accuracy under attack, in per cent": robustness_rows(runs),
        "Learning": learning_table.rows(runs),
        "Cost": cost.rows(runs),
    }


FILES = {  # CSV file -> its tables
    "accuracy": ("Accuracy in per cent", "Noise types", "Other methods"),
    "differences": ("Differences on the same tasks, in points of accuracy",),
    "robustness": ("Accuracy under attack, in per cent",),
    "learning": ("Learning",),
    "cost": ("Cost",),
}
LEGENDS = {
    "Differences on the same tasks, in points of accuracy": paired.LEGEND,
    "Learning": learning_table.LEGEND,
    "Cost": cost.LEGEND,
}


def markdown(found: dict[str, list[dict]]) -> str:
    """The tables as Markdown; those without rows are left out."""
    from tabulate import tabulate

    parts = []
    for title, rows in found.items():
        if rows:
            legend = LEGENDS.get(title, sweep_table.LEGEND if title.startswith("Sweep ") else "")
            table = tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
            parts.append(f"## {title}\n\n{table}\n" + (f"\n{legend}\n" if legend else ""))
    return "\n".join([*parts, LEGEND + "\n"])


def write(output: pathlib.Path, page: str, preface: str, found: dict[str, list[dict]], runs: list[Run]) -> None:
    """The page, the CSV files and the figures."""
    output.mkdir(parents=True, exist_ok=True)
    figures = table_figures.draw(runs, published(), output)
    shown = "".join(f"\n## {title}\n\n![{title}]({path.name})\n" for title, path in figures.items())
    (output / page).write_text(preface + markdown(found) + shown)
    for name, titles in FILES.items():
        rows = [row for title in titles for row in found[title]]
        if rows:
            text = io.StringIO()
            writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows({tuple(row.items()): row for row in rows}.values())
            (output / f"{name}.csv").write_text(text.getvalue())


def main(arguments: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tf_metadrop.table", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=pathlib.Path, help="folders of savedirs, however deep")
    parser.add_argument("--output", type=pathlib.Path, help="folder for tables.md, CSV files and figures")
    parser.add_argument("--page", default="tables.md", help="name of the Markdown file there; default: tables.md")
    parser.add_argument("--preface", type=pathlib.Path, help="a Markdown file whose text comes first on that page")
    args = parser.parse_args(arguments)

    def act():
        runs = find(args.folders)
        preface = args.preface.read_text() + "\n" if args.preface else ""
        found = tables(runs) | sweep_table.tables(args.folders)
        print(markdown(found))
        if args.output:
            write(args.output, args.page, preface, found, runs)

    return program.guard("tf_metadrop.table", act)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
