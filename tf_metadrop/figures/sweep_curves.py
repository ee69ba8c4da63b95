"""Accuracy on the test classes over a swept parameter, a curve for each value of the others."""

import itertools
import pathlib
from typing import Any

from tf_metadrop.figures import style

FEW = 6  # ticks that have room
NAMES = {"inner_lr": "learning rate of the inner loop", "meta_lr": "learning rate of the outer loop"}


def draw(path: pathlib.Path, rows: list[dict], parameters: list[str]) -> pathlib.Path:
    """Draws the rows of a sweep's results.csv; the ring marks what was chosen on the validation classes.

    Args:
      parameters: those that were swept; the first numeric one with several values is the horizontal axis.
    """
    several = lambda name: len({row[name] for row in rows}) > 1
    numeric = [n for n in parameters if all(isinstance(row[n], (int, float)) for row in rows)]
    across = next((name for name in numeric if several(name)), (numeric or parameters)[0])
    others = [name for name in parameters if name != across and several(name)]
    figure = style.new_figure(style.COLUMN, 2.8)
    axes = figure.subplots()
    curves: dict[str, list[dict]] = {}
    for row in rows:
        curves.setdefault(", ".join(str(row[name]) for name in others), []).append(row)
    colours = style.colours_of(curves)
    for marker, (label, points) in zip(itertools.cycle(style.MARKERS), curves.items(), strict=False):
        points = sorted(points, key=lambda row: row[across]) if across in numeric else points
        values = [[row[name] for row in points] for name in (across, "test_accuracy")]
        values.append([row["test_interval"] or 0 for row in points])
        look = dict(color=colours[label], fmt=f"{marker}-", markersize=4, linewidth=1.1, capsize=2)
        axes.errorbar(*values, label=label, **look)
        best = max(points, key=lambda row: row["val_accuracy"])
        ring = dict(s=90, facecolors="none", edgecolors=colours[label], linewidths=1.1, zorder=4)
        axes.scatter([best[across]], [best["test_accuracy"]], **ring)
    if across in numeric:
        scale(axes, sorted({row[across] for row in rows}))
    axes.set_xlabel(NAMES.get(across, f"--{across}"), fontsize=style.SMALL)
    axes.set_ylabel("accuracy on test classes (%)", fontsize=style.SMALL)
    axes.scatter([], [], s=60, facecolors="none", edgecolors="0.4", label="chosen on validation classes")
    style.bare(axes)
    shown = zip(*axes.get_legend_handles_labels(), strict=True)
    style.legend_below(figure, {label: handle for handle, label in shown if label})
    return style.save(figure, path)


def scale(axes: Any, values: list[float]) -> None:
    """Makes the horizontal axis logarithmic for values that span a decade, with ticks at them where they are few."""
    if len(values) > 2 and values[0] > 0 and values[-1] / values[0] >= 10:
        axes.set_xscale("log")
    if len(values) <= FEW:
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.set_xticks([], minor=True)
