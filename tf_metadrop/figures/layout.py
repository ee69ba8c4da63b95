"""What figures have in common besides colours: sizes, frames, legends, labels beside a panel, and the file."""

import math
import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any, TypeVar

from tf_metadrop.figures import style

T = TypeVar("T")

MOST = 6  # lines in a panel
COLUMN = 3.4  # inches, of a paper in two columns
SMALL = 8  # points
TITLE = 9  # points
DOTS = 250  # an inch: a figure of two columns is 1,700 pixels wide, twice what a README shows
ITERATION = "Meta-iteration"


def chunks(every: Sequence[T], most: int = MOST) -> list[Sequence[T]]:
    """A sequence in pieces of at most so many, as equal as they can be."""
    count = max(1, math.ceil(len(every) / most))
    ends = [round(len(every) * i / count) for i in range(count + 1)]
    return [every[start:end] for start, end in zip(ends, ends[1:], strict=False)]


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure of this size in inches."""
    from matplotlib.figure import Figure  # not pyplot, which keeps state and may open windows

    return Figure(figsize=(width, height), layout="constrained")


def legend_below(figure: Any, handles: dict, **more: Any) -> None:
    """A legend {label: handle} below the panels, in as many columns as have room. The figure grows by its height."""
    columns = legend_columns(list(handles), figure.get_figwidth())
    figure.set_figheight(figure.get_figheight() + 0.17 * (math.ceil(len(handles) / columns) - 1))
    given = dict(loc="outside lower center", ncols=columns, fontsize=SMALL, frameon=False, columnspacing=1.5) | more
    figure.legend(handles.values(), handles, **given)


def legend_columns(labels: Sequence[str], width: float) -> int:
    """In how many columns the labels of a legend fit into this width in inches, filled one column after the other."""
    for columns in range(len(labels), 1, -1):
        rows = math.ceil(len(labels) / columns)
        pieces = [labels[start : start + rows] for start in range(0, len(labels), rows)]
        if sum(0.62 + 0.066 * max(map(len, piece)) for piece in pieces) <= width:
            return len(pieces)
    return 1


def labels_at_right(axes: Any, labels: Sequence[tuple[float, str]], colour: str) -> None:
    """Texts (height, text) in small type beside a panel, at heights in its data, moved apart where they overlap.

    Call it when the panel's limits and the figure's size are final.
    """
    low, high = axes.get_ylim()
    inches = 0.7 * axes.figure.get_figheight() / axes.get_subplotspec().get_gridspec().nrows  # about the panel's height
    apart = 1.25 * SMALL / 72 / inches * (high - low)
    labels = sorted(labels)
    beside = axes.get_yaxis_transform()  # x: 1 is the panel's right side
    leader = dict(arrowstyle="-", color=colour, linewidth=0.7, shrinkA=0, shrinkB=0)
    for (height, text), place in zip(labels, spread([height for height, _ in labels], apart), strict=True):
        axes.annotate("", (0.97, height), (1.01, height), beside, beside, leader)
        axes.annotate("", (1.01, height), (1.05, place), beside, beside, leader)
        axes.text(1.06, place, text, color=colour, fontsize=SMALL, va="center", transform=beside)


def spread(places: Sequence[float], apart: float) -> list[float]:
    """Rising places, moved so that neighbours are at least so far apart."""
    groups: list[list[float]] = []  # each is laid out around its mean
    for place in places:
        groups.append([place])
        while len(groups) > 1 and bounds(groups[-2], apart)[1] + apart > bounds(groups[-1], apart)[0]:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [bounds(group, apart)[0] + apart * i for group in groups for i in range(len(group))]


def bounds(group: Sequence[float], apart: float) -> tuple[float, float]:
    """The first and last place of a group that is laid out around its mean."""
    middle, half = sum(group) / len(group), apart * (len(group) - 1) / 2
    return middle - half, middle + half


def bare(axes: Any, grid: bool = True) -> None:
    """Removes the frame's upper and right side, and adds a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    if grid:
        axes.grid(color=style.LIGHT, linewidth=0.6)
        axes.set_axisbelow(True)


def heading(axes: Any, text: str, colour: str, note: str = "", width: int = 60) -> None:
    """A panel's title in a colour, in lines of at most so many characters, and a note in grey under it."""
    axes.set_title(note, fontsize=SMALL, color=style.GREY, pad=3)
    up = SMALL + 4 if note else 4
    look = dict(color=colour, ha="center", va="bottom", fontsize=TITLE if width > 30 else SMALL)
    text = textwrap.fill(text, width, break_on_hyphens=False)
    axes.annotate(text, (0.5, 1), (0, up), "axes fraction", "offset points", **look)


def count_iterations(axes: Any, ticks: int) -> None:
    """At most so many ticks on a panel's horizontal axis, with a comma before each three digits."""
    from matplotlib.ticker import FuncFormatter

    axes.locator_params("x", nbins=ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def save(figure: Any, path: pathlib.Path, shades: bool = False) -> pathlib.Path:
    """Writes the figure as PNG or SVG on white paper, making its folder; returns the path.

    Args:
      shades: keeps every shade of a PNG, for images. Else it has 256 colours and a third of the size.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".svg":
        figure.savefig(path, metadata={"Date": None})  # the same file whenever it is drawn
        return path
    from PIL import Image

    figure.savefig(path, dpi=DOTS)
    with Image.open(path) as drawn:
        picture = drawn.convert("RGB")
    if not shades:
        picture = picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    picture.save(path, optimize=True, dpi=(DOTS, DOTS))
    return path
