"""Accuracy on held-out classes over training: a line for each kind of run, with the range of its seeds."""

import pathlib
from typing import NamedTuple

import numpy as np

from tf_metadrop.figures import style

STYLES = {"exact": "-", "tf1": "--", "first": ":"}
OF_OTHERS = (0, (8, 3)), (0, (5, 2, 1, 2)), (0, (1, 3))


class Curve(NamedTuple):
    """Evaluations of one run."""

    label: str  # of its group
    line: str  # how the group is drawn, a key of STYLES or another word
    colour: str  # what decides the group's colour
    iterations: list
    hours: list
    accuracies: list  # in [0, 1]


class Published(NamedTuple):
    """Another's result."""

    source: str
    method: str  # drawn in the colour of the curves with this `colour`
    accuracy: float  # in per cent


def draw(path: pathlib.Path, curves: list[Curve], published: list[Published], y_label: str) -> pathlib.Path:
    """Two panels, over iterations and over hours.

    Args:
      curves: runs with the same label are drawn as their mean, with their range, at the iterations that all have; as
        lines of their own if they do not end together.
      published: drawn as horizontal lines, one style for each source.
    """
    figure = style.new_figure(2 * style.COLUMN, 3.1)
    left, right = figure.subplots(1, 2, sharey=True)
    looks = style.looks_of(style.compared_first(dict.fromkeys(curve.colour for curve in curves)))
    for label, group in together(curves):
        common = sorted(set.intersection(*[set(curve.iterations) for curve in group]))
        at = lambda curve, values, common=common: [dict(zip(curve.iterations, values, strict=True))[i] for i in common]
        every = 100 * np.array([at(curve, curve.accuracies) for curve in group])
        look = looks[group[0].colour] | dict(linestyle=STYLES.get(group[0].line, "-"), linewidth=1.2)
        for axes, x in (
            (left, common),
            (right, np.mean([at(curve, curve.hours) for curve in group], 0)),
        ):
            axes.plot(x, every.mean(0), label=label if axes is left else None, **look)
            if len(group) > 1:
                axes.fill_between(x, every.min(0), every.max(0), color=look["color"], alpha=0.12, linewidth=0)
    lines = dict(zip(dict.fromkeys(each.source for each in published), OF_OTHERS * len(published), strict=False))
    for source, method, accuracy in published:
        colour = looks[method]["color"] if method in looks else "0.4"
        look = dict(color=colour, linestyle=lines[source], linewidth=0.9)
        left.axhline(accuracy, label=f"{method}, {source}", **look)
        right.axhline(accuracy, **look)
    if later := after_the_rise(curves):
        low, high = min(later), max([*later, *[each.accuracy for each in published]])
        left.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low) + 0.1)
    left.set_ylabel(y_label, fontsize=style.SMALL)
    left.set_xlabel("meta-iteration", fontsize=style.SMALL)
    right.set_xlabel("hours", fontsize=style.SMALL)
    for axes, most in ((left, 5), (right, 6)):
        axes.locator_params("x", nbins=most)  # five digits need their room
    for axes in (left, right):
        style.bare(axes)
    handles, labels = left.get_legend_handles_labels()
    style.legend_below(figure, dict(zip(labels, handles, strict=True)))
    return style.save(figure, path)


def together(curves: list[Curve]) -> list[tuple[str, list[Curve]]]:
    """(label, the runs that are one line): those with the same label, each alone if they do not end together."""
    groups = []
    for label in dict.fromkeys(curve.label for curve in curves):
        group = [curve for curve in curves if curve.label == label]
        if len({curve.iterations[-1] for curve in group}) == 1:
            groups.append((label, group))
        else:
            groups += [(label, [curve]) for curve in group]
    return groups


def after_the_rise(curves: list[Curve]) -> list[float]:
    """The accuracies in per cent after the first quarter of each curve, which would squeeze the rest together."""
    return [
        100 * accuracy
        for curve in curves
        for iteration, accuracy in zip(curve.iterations, curve.accuracies, strict=True)
        if iteration > curve.iterations[-1] / 4
    ]
