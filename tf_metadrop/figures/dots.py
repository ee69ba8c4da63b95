"""Final accuracy as dots with 95 % intervals: rows for each method, a marker for each meta-gradient."""

import pathlib
from typing import Any, NamedTuple

from tf_metadrop.figures import layout, style

KINDS = dict(zip(style.GRADIENTS, ("o", "s", "^"), strict=True))  # markers of the meta-gradients
OTHER = "D"
INCH, GAP = 0.15, 0.6  # for a dot; in dots, between two methods
SEED = "one seed"


class Dot(NamedTuple):
    """The test of one kind of run."""

    gradient: str
    mean: float  # of the seeds, in per cent
    half: float | None  # of the 95 % interval
    seeds: list[float]  # accuracy of each, in per cent


class Panel(NamedTuple):
    """One task."""

    title: str
    rows: dict[str, list[Dot]]  # by method, as Config.method has it


def draw(path: pathlib.Path, panels: list[Panel], title: str) -> pathlib.Path:
    """Draws panels side by side, with the same methods in all, the first on top."""
    methods = style.in_order({method for panel in panels for method in panel.rows})
    count = {method: max(len(panel.rows.get(method, [])) for panel in panels) for method in methods}
    starts = [sum(count[before] + GAP for before in methods[:i]) for i in range(len(methods) + 1)]
    figure = layout.new_figure(2 * layout.COLUMN, 1.1 + INCH * starts[-1])
    figure.suptitle(title, fontsize=layout.TITLE, fontweight="bold")
    middles = [start + (count[method] - 1) / 2 for start, method in zip(starts, methods, strict=False)]
    for axes, panel in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        for start, method in zip(starts, methods, strict=False):
            for number, dot in enumerate(panel.rows.get(method, [])):
                draw_dot(axes, start + number, dot, style.colour(method))
        layout.bare(axes)
        axes.set_title(panel.title if len(panels) > 1 else "", fontsize=layout.SMALL, color=style.INK)
        axes.set_yticks(middles, [style.name(method) for method in methods], fontsize=layout.SMALL)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.set_ylim(starts[-1] - 0.5, -0.5 - GAP / 2)
        axes.locator_params("x", nbins=6)
        axes.set_xlabel("Accuracy on test classes (%)", fontsize=layout.SMALL)
        for start in starts[1:-1]:
            axes.axhline(start - 0.5 - GAP / 2, color=style.LIGHT, linewidth=0.6, zorder=0)
    layout.legend_below(figure, handles(panels))
    return layout.save(figure, path)


def draw_dot(axes: Any, height: float, dot: Dot, colour: str) -> None:
    """A mean with its interval, and the seeds under it."""
    bar = dict(xerr=dot.half) if dot.half else {}
    face = colour if dot.gradient == next(iter(KINDS)) else style.PAPER
    axes.errorbar(
        dot.mean, height, **bar, marker=KINDS.get(dot.gradient, OTHER), markersize=5, color=colour,
        markerfacecolor=face, linewidth=1.1, capsize=2, zorder=3,
    )  # fmt: skip
    if len(dot.seeds) > 1:
        look = dict(s=9, color=style.INK, edgecolors=style.PAPER, linewidths=0.4)
        axes.scatter(dot.seeds, [height] * len(dot.seeds), zorder=4, **look)


def handles(panels: list[Panel]) -> dict[str, Any]:
    """The legend {label: handle}, in grey."""
    from matplotlib.lines import Line2D

    dots = [dot for panel in panels for every in panel.rows.values() for dot in every]
    present = {dot.gradient for dot in dots}
    found: dict[str, Any] = {}
    for gradient in [*[known for known in KINDS if known in present], *sorted(present - KINDS.keys())]:
        face = style.GREY if gradient == next(iter(KINDS)) else style.PAPER
        look = dict(color=style.GREY, linewidth=1.1, markersize=5, markerfacecolor=face)
        label = style.GRADIENTS.get(gradient, gradient)
        found[label] = Line2D([], [], marker=KINDS.get(gradient, OTHER), **look)
    if any(len(dot.seeds) > 1 for dot in dots):
        found[SEED] = Line2D([], [], color=style.INK, marker=".", markersize=4, linestyle="")
    return found
