"""Published results of others, for comparison with ours."""

import csv
import pathlib

FOLDER = pathlib.Path(__file__).parent
SOURCES = {"paper": "paper", "authors_repository": "authors' repository", "report": "report"}


def accuracies() -> dict[tuple, dict[str, str]]:
    """Published accuracies: {(dataset, way, shot, method): {source: "96.63 ± 0.13"}}."""
    found: dict[tuple, dict[str, str]] = {}
    with open(FOLDER / "accuracy.csv", newline="") as file:
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


def robustness(dataset: str, way: int, shot: int) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """The paper's curves for this task: {norm: {method: [(radius, accuracy in per cent)]}}; {} if it has none."""
    if (dataset, way) != ("omniglot", 20):
        return {}
    start = f"omniglot_{shot}shot_"
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    with open(FOLDER / "robustness.csv", newline="") as file:
        for row in csv.DictReader(file):
            if row["panel"].startswith(start):
                point = float(row["epsilon"]), float(row["accuracy_percent"])
                of_norm = curves.setdefault(row["panel"].removeprefix(start), {})
                of_norm.setdefault(row["method"], []).append(point)
    return curves
