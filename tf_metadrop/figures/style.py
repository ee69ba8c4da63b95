"""What the figures have in common."""

import itertools
import math
import pathlib
from collections.abc import Iterable
from typing import Any

# Wong's palette, which the colour-blind can tell apart.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK = COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
)  # fmt: skip
COMPARED = "maml", "metadrop"
MARKERS = "osv^DxP*"
COLUMN = 3.4  # inches, of a paper in two columns
SMALL = 8  # points


def compared_first(kinds: Iterable[str]) -> list[str]:
    """These labels, which begin with a method, MAML's and Meta-dropout's first: so they keep their colours."""

    def place(kind: str) -> int:
        method = kind.split(" (")[0]
        if method not in COMPARED:
            return 2 * len(COMPARED)
        return COMPARED.index(method) + len(COMPARED) * (kind != method)  # what is said in brackets: a variant

    return sorted(kinds, key=place)


def looks_of(kinds: Iterable[str]) -> dict[str, dict]:
    """A colour for each of these; once the colours are used up, again with a marker, and with another."""
    markers = ("", *MARKERS)
    looks = [dict(color=c, marker=m, markersize=3.5) for m in markers for c in COLOURS]
    return dict(zip(kinds, itertools.cycle(looks), strict=False))


def colours_of(kinds: Iterable[str]) -> dict[str, str]:
    """A colour for each of these; where there are more than in COLOURS, from a colour map instead."""
    from matplotlib import colormaps, colors

    kinds = list(kinds)
    if len(kinds) <= len(COLOURS):
        return dict(zip(kinds, COLOURS, strict=False))
    return {kind: colors.to_hex(colormaps["turbo"](i / (len(kinds) - 1))) for i, kind in enumerate(kinds)}


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure of this size in inches."""
    from matplotlib.figure import Figure  # not pyplot, which keeps state and may open windows

    return Figure(figsize=(width, height), layout="constrained")


def legend_below(figure: Any, handles: dict) -> None:
    """A legend {label: handle} below the panels, in as many columns as have room, for which the figure grows."""
    widest = 0.55 + 0.058 * max(map(len, handles))  # inches, in SMALL type
    columns = max(1, min(len(handles), 4, int(figure.get_figwidth() / widest)))
    figure.set_figheight(figure.get_figheight() + 0.17 * max(0, math.ceil(len(handles) / columns) - 2))
    look = dict(loc="outside lower center", ncols=columns, fontsize=SMALL, frameon=False)
    figure.legend(handles.values(), handles, **look)


def bare(axes: Any, grid: bool = True) -> None:
    """Without the frame's upper and right side, with a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    if grid:
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)


def save(figure: Any, path: pathlib.Path) -> pathlib.Path:
    """Writes the figure, at 300 dots an inch, making its folder; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=300)
    return path
