"""Tables of finished runs beside the published numbers: accuracy, noise types, robustness; `metadrop tables`."""

import csv
import io
import pathlib
from collections.abc import Callable

from tf_metadrop.analysis import (
    cost,
    learning_table,
    normalization_table,
    paired,
    published,
    set_apart,
    sweep_table,
    table_figures,
    theirs,
)
from tf_metadrop.analysis.published import SOURCES
from tf_metadrop.figures import robustness
from tf_metadrop.methods import noise
from tf_metadrop.runs.finished import Run
from tf_metadrop.util.interval import plus_minus

MAIN = "maml", "metadrop", "metasgd", "metasgd_metadrop"
OURS = "ours", "gradient", "inner_lr", "seed", "iterations", "tasks", "apart", "run"
LEGEND = (
    "± half the 95 % interval over tasks. Empty: not published, or not run here. gradient: see --second_order. "
    "apart: settings that most runs of this task and method have otherwise."
)


def accuracy_rows(runs: list[Run], wanted: Callable[[str], bool]) -> list[dict]:
    """Rows of the accuracy tables: every published number and every run whose method `wanted` accepts."""
    theirs, rows = published.accuracies(), []
    tested = [run for run in runs if run.test]
    apart = settings_apart(tested)
    keys = list(dict.fromkeys([*theirs, *[(*run.task, run.config.method) for run in tested]]))
    for key in sorted((key for key in keys if wanted(key[3])), key=lambda key: (key[0] != "omniglot", *key)):
        base = key[3].replace("_report", "")
        cells = {source: theirs.get((*key[:3], base), {}).get(source, "") for source in SOURCES.values()}
        head = {"task": f"{key[0]} {key[1]}-way {key[2]}-shot", "method": key[3]}
        ours = [run for run in tested if (*run.task, run.config.method) == key]
        for run in ours:
            t = run.test or {}
            rows.append(
                {
                    **head, **cells, "ours": plus_minus(t["accuracy"], t["interval"]), "gradient": run.gradient,
                    "inner_lr": run.rate, "seed": run.seed,
                    "iterations": run.iterations, "tasks": t["episodes"],
                    "apart": apart[run.directory], "run": str(run.directory),
                }
            )  # fmt: skip
        if not ours:
            rows.append({**head, **cells, **dict.fromkeys(OURS, "")})
    return rows


def settings_apart(runs: list[Run]) -> dict[pathlib.Path, str]:
    """What sets each run apart from most runs of its task and method, by its folder: see set_apart.py."""
    kinds: dict[tuple, list[Run]] = {}
    for run in runs:
        kinds.setdefault((*run.task, run.config.method), []).append(run)
    return {run.directory: text for of in kinds.values() for run, text in zip(of, set_apart.texts(of), strict=True)}


def noise_rows(rows: list[dict]) -> list[dict]:
    """These rows of MAML and all noise types, where there is more than MAML and Meta-dropout to compare.

    Of those two only the runs by a meta-gradient that a run of another noise type has, if there is such a run.
    """
    gradients: dict[str, set[str]] = {}  # by task: those of the other noise types' runs
    for row in rows:
        if row["method"] not in MAIN:
            gradients.setdefault(row["task"], set()).update({row["gradient"]} - {""})

    def belongs(row: dict) -> bool:
        wanted = gradients.get(row["task"])
        return wanted is not None and (row["method"] not in MAIN or not wanted or row["gradient"] in wanted)

    return [row for row in rows if belongs(row)]


def robustness_rows(runs: list[Run]) -> list[dict]:
    """Rows of the robustness table: accuracy of every attacked run, and of the paper's curve, by norm and radius."""
    rows = []
    for run in runs:
        for row in run.attack:
            paper = theirs.curve(run.attack_task, row["norm"], robustness.paper_name(run.config.method))
            rows.append(
                {
                    "task": (run.attacked or run.config).task_name, "norm": row["norm"],
                    "radius": row["epsilon"], "method": run.config.method, "paper": paper.get(row["epsilon"], ""),
                    "ours": plus_minus(row["accuracy_percent"], row["ci95"]), "gradient": run.gradient,
                    "seed": run.seed, "iterations": run.attacked_weights, "variant": row.get("variant", "pgd"),
                    "steps": row["steps"], "restarts": row["restarts"], "tasks": row["tasks"],
                    "samples": run.attacked.n_test_mc_samp if run.attacked else "", "run": str(run.directory),
                }
            )  # fmt: skip
    return sorted(rows, key=lambda row: (row["task"], row["norm"], row["method"], row["radius"]))


def tables(runs: list[Run]) -> dict[str, list[dict]]:
    """The tables, {title: rows}."""
    types = [*noise.names(), *(f"{name}_report" for name in noise.reported())]
    return {
        "Accuracy in per cent": accuracy_rows(runs, MAIN.__contains__),
        "Noise types": noise_rows(accuracy_rows(runs, types.__contains__)),
        "Other methods": [row for row in accuracy_rows(runs, lambda m: m not in (*MAIN, *types)) if row["ours"]],
        "Differences on the same tasks, in points of accuracy": paired.rows(runs),
        "Query images normalised by the support images": normalization_table.rows(runs),
        "Accuracy under attack, in per cent": robustness_rows(runs),
        "Learning": learning_table.rows(runs),
        "Cost": cost.rows(runs),
    }


FILES = {  # CSV file -> its tables
    "accuracy": ("Accuracy in per cent", "Noise types", "Other methods"),
    "differences": ("Differences on the same tasks, in points of accuracy",),
    "normalization": ("Query images normalised by the support images",),
    "robustness": ("Accuracy under attack, in per cent",),
    "learning": ("Learning",),
    "cost": ("Cost",),
}
LEGENDS = {
    "Differences on the same tasks, in points of accuracy": paired.LEGEND,
    "Query images normalised by the support images": normalization_table.LEGEND,
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


def write(
    output: pathlib.Path, found: dict[str, list[dict]], runs: list[Run], pages: dict[pathlib.Path, str] | None = None
) -> None:
    """The CSV files, the figures, and the pages {file: text}; tables.md if there are no pages."""
    output.mkdir(parents=True, exist_ok=True)
    figures = table_figures.draw(runs, published.accuracies(), output)
    shown = "".join(f"\n## {title}\n\n![{title}]({path.name})\n" for title, path in figures.items())
    for path, text in ({output / "tables.md": markdown(found) + shown} if pages is None else pages).items():
        path.write_text(text, encoding="utf-8")
    for name, titles in FILES.items():
        rows = [row for title in titles for row in found[title]]
        if rows:
            lines = io.StringIO()
            writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows({tuple(row.items()): row for row in rows}.values())
            (output / f"{name}.csv").write_text(lines.getvalue())
