"""Accuracy on the test classes over a swept parameter, a curve for each value of the others."""

import pathlib
from typing import Any

from tf_metadrop.figures import layout, style

FEW = 6  # ticks that have room
NAMES = {
    "inner_lr": "Inner learning rate", "meta_lr": "Outer learning rate", "noise_type": "Noise type",
    "n_steps": "Inner steps",
}  # fmt: skip
METHOD = "noise_type"  # the parameter whose values are methods


def draw(path: pathlib.Path, rows: list[dict], parameters: list[str]) -> pathlib.Path:
    """Draws the rows of a sweep's results.csv. A ring marks what was chosen on the validation classes.

    Args:
      parameters: those that were swept; the first numeric one with several values is the horizontal axis.
    """
    several = lambda name: len({row[name] for row in rows}) > 1
    numeric = [n for n in parameters if all(isinstance(row[n], (int, float)) for row in rows)]
    across = next((name for name in numeric if several(name)), (numeric or parameters)[0])
    others = [name for name in parameters if name != across and several(name)]
    curves: dict[tuple, list[dict]] = {}
    for row in rows:
        curves.setdefault(tuple(row[name] for name in others), []).append(row)
    looks = looks_of(list(curves), others)
    pieces = layout.chunks(list(curves))
    figure = layout.new_figure(layout.COLUMN, 0.5 + 2.3 * len(pieces))
    panels = figure.subplots(len(pieces), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, values in zip(panels, pieces, strict=True):
        for value in values:
            points = sorted(curves[value], key=lambda row: row[across]) if across in numeric else curves[value]
            draw_curve(axes, across, points, looks[value], label_of(value, others))
        if across in numeric:
            scale(axes, sorted({row[across] for row in rows}))
        axes.set_ylabel("Accuracy on test classes (%)", fontsize=layout.SMALL)
        layout.bare(axes)
    panels[-1].set_xlabel(NAMES.get(across, f"--{across}"), fontsize=layout.SMALL)
    panels[0].scatter([], [], s=60, facecolors="none", edgecolors=style.GREY, label="chosen on validation classes")
    shown = [pair for axes in panels for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    layout.legend_below(figure, {label: handle for handle, label in shown if label})
    return layout.save(figure, path)


def draw_curve(axes: Any, across: str, points: list[dict], look: dict[str, Any], label: str) -> None:
    """One curve with intervals, and the ring."""
    values = [[row[name] for row in points] for name in (across, "test_accuracy")]
    values.append([row["test_interval"] or 0 for row in points])
    axes.errorbar(*values, label=label, markersize=4, linewidth=1.2, capsize=2, **look)
    best = max(points, key=lambda row: row["val_accuracy"])
    ring = dict(s=90, facecolors="none", edgecolors=look["color"], linewidths=1.1, zorder=4)
    axes.scatter([best[across]], [best["test_accuracy"]], **ring)


def looks_of(values: list[tuple], others: list[str]) -> dict[tuple, dict[str, Any]]:
    """How each curve is drawn: in the colour of its noise type, if that was swept, with another line for each of it."""
    found: dict[tuple, dict[str, Any]] = {}
    methods = list(style.METHODS)
    for number, value in enumerate(values):
        if METHOD in others:
            method = str(value[others.index(METHOD)])
            earlier = sum(1 for other in values[:number] if other[others.index(METHOD)] == value[others.index(METHOD)])
        else:
            method, earlier = methods[number % len(methods)], number // len(methods)
        found[value] = style.look(method) | dict(linestyle=style.DASHES[earlier % len(style.DASHES)])
    return found


def label_of(value: tuple, others: list[str]) -> str:
    """What a curve is called in the legend."""
    one = lambda name, each: style.name(each) if name == METHOD else f"{name} {each}" if len(others) > 1 else str(each)
    return ", ".join(one(name, each) for name, each in zip(others, value, strict=True))


def scale(axes: Any, values: list[float]) -> None:
    """Makes the horizontal axis logarithmic if the values span a decade. Few values have a tick each."""
    if len(values) > 2 and values[0] > 0 and values[-1] / values[0] >= 10:
        axes.set_xscale("log")
    if len(values) <= FEW:
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.set_xticks([], minor=True)
