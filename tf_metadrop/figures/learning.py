"""Accuracy on held-out classes over training: small panels with a line for each kind of run."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_metadrop.figures import layout, style

ACROSS = {"iterations": layout.ITERATION, "hours": "Hours of training"}
RANGE = "range over seeds"
LINE = 1.4  # points


class Curve(NamedTuple):
    """Evaluations of one run."""

    label: str  # of its line: the curves of a panel with the same label are one line, their mean
    look: dict[str, Any]  # color, linestyle, marker ...
    iterations: Sequence[int]
    hours: Sequence[float]
    accuracies: Sequence[float]  # in [0, 1]


class Published(NamedTuple):
    """A published result on the test classes."""

    source: str
    accuracy: float  # in per cent


class Panel(NamedTuple):
    """What is shown of one method."""

    method: str  # as Config.method has it
    note: str  # small, under its name
    curves: list[Curve]
    published: list[Published] = []  # beside the panel


def draw(
    path: pathlib.Path,
    rows: list[list[Panel | None]],
    title: str,
    y_label: str,
    across: str = "iterations",
    beside: bool = False,
) -> pathlib.Path:
    """Draws rows of panels with one scale of accuracies. A panel shows means of runs and the range of each.

    Args:
      rows: of one length; None leaves a place empty. A panel with too many lines becomes several, one below the other.
      across: a key of ACROSS.
      beside: whether labels stand beside the ends of the lines, and not in the legend.
    """
    laid_out = [row for given in rows for row in rows_of(given)]
    columns, small = len(laid_out[0]), len(laid_out[0]) > 3
    figure = layout.new_figure(2 * layout.COLUMN, 0.7 + (1.6 if small else 2.2) * len(laid_out))
    figure.suptitle(title, fontsize=layout.TITLE, fontweight="bold")
    grid = figure.subplots(len(laid_out), columns, sharex=True, sharey=True, squeeze=False)
    shown = [(axes, panel, lines) for places, row in zip(grid, laid_out, strict=True)
             for axes, (panel, lines) in zip(places, row, strict=True) if panel]  # fmt: skip
    for axes, panel, lines in shown:
        for curves in lines:
            draw_line(axes, curves, across)
        width = 18 if small else 60
        layout.heading(axes, style.name(panel.method), style.colour(panel.method), panel.note, width)
        if across == "iterations":
            layout.count_iterations(axes, 3 if small else 5)
        layout.bare(axes)
    frame(grid, [axes for axes, *_ in shown], ACROSS[across])
    set_scale(grid[0][0], [panel for _, panel, _ in shown])
    figure.supylabel(y_label, fontsize=layout.SMALL)
    lines = [line for *_, lines in shown for line in lines]
    if explained := handles([] if beside else lines, any(len(line) > 1 for line in lines)):
        layout.legend_below(figure, explained)
    for axes, panel, lines in shown:
        ends = [(each.accuracy, f"{each.source} {each.accuracy:.1f}") for each in panel.published]
        ends += [(end_of(curves), curves[0].label) for curves in lines] if beside else []
        layout.labels_at_right(axes, ends, style.colour(panel.method))
    return layout.save(figure, path)


def frame(grid: Any, shown: list[Any], x_label: str) -> None:
    """Hides the panels that show nothing; puts numbers and label under the lowest panel of each column."""
    used = {id(axes) for axes in shown}
    for places in grid.T:
        for axes, *below in [places[i:] for i in range(len(places))]:
            lowest = not any(id(other) in used for other in below)
            axes.set_visible(id(axes) in used)
            axes.tick_params(labelbottom=lowest)
            axes.set_xlabel(x_label if lowest else "", fontsize=layout.SMALL)


def end_of(curves: list[Curve]) -> float:
    """The mean of the last accuracies, in per cent."""
    return 100 * float(np.mean([curve.accuracies[-1] for curve in curves]))


def rows_of(row: list[Panel | None]) -> list[list[tuple[Panel | None, Sequence[list[Curve]]]]]:
    """The rows that a row of panels needs, so that none has too many lines: (panel, its lines) each."""
    pieces = [[(panel, piece) for piece in layout.chunks(together(panel.curves))] if panel else [] for panel in row]
    count = max(map(len, pieces))
    return [[piece[i] if i < len(piece) else (None, []) for piece in pieces] for i in range(count)]


def draw_line(axes: Any, curves: list[Curve], across: str) -> None:
    """The mean of runs over the iterations, or their mean hours, at which all were evaluated; and their range."""
    common = sorted(set.intersection(*[set(curve.iterations) for curve in curves]))
    at = lambda curve, values: [dict(zip(curve.iterations, values, strict=True))[i] for i in common]
    every = 100 * np.array([at(curve, curve.accuracies) for curve in curves])
    x = common if across == "iterations" else np.mean([at(curve, curve.hours) for curve in curves], 0)
    axes.plot(x, every.mean(0), label=curves[0].label, **dict(linewidth=LINE, markersize=4) | curves[0].look)
    if len(curves) > 1:
        axes.fill_between(x, every.min(0), every.max(0), color=curves[0].look["color"], alpha=0.15, linewidth=0)


def set_scale(axes: Any, panels: list[Panel]) -> None:
    """Limits of the accuracies: what comes after the steep start, and what was published, with some room."""
    if later := after_the_rise([curve for panel in panels for curve in panel.curves]):
        known = [*later, *[each.accuracy for panel in panels for each in panel.published]]
        room = 0.06 * np.ptp(known) + 0.1
        axes.set_ylim(min(later) - room, max(known) + room)


def handles(lines: list[list[Curve]], ranges: bool) -> dict[str, Any]:
    """The legend {label: handle} of these lines, in grey where a label has several colours; and the range, if any."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    colours: dict[str, set[str]] = {}
    for curve, *_ in lines:
        colours.setdefault(curve.label, set()).add(curve.look["color"])
    found: dict[str, Any] = {}
    for curve, *_ in lines:
        look = curve.look if len(colours[curve.label]) == 1 else curve.look | dict(color=style.GREY)
        found[curve.label] = Line2D([], [], **dict(linewidth=LINE, markersize=4) | look)
    return found | ({RANGE: Patch(color=style.LIGHT)} if ranges else {})


def together(curves: list[Curve]) -> list[list[Curve]]:
    """The runs that are one line: those with the same label, each alone if they do not end together."""
    groups = []
    for label in dict.fromkeys(curve.label for curve in curves):
        group = [curve for curve in curves if curve.label == label]
        if len({curve.iterations[-1] for curve in group}) == 1:
            groups.append(group)
        else:
            groups += [[curve] for curve in group]
    return groups


def after_the_rise(curves: list[Curve]) -> list[float]:
    """Accuracies in per cent after the first quarter of each run, so that the steep start does not set the scale."""
    return [
        100 * accuracy
        for curve in curves
        for iteration, accuracy in zip(curve.iterations, curve.accuracies, strict=True)
        if iteration > curve.iterations[-1] / 4
    ]
