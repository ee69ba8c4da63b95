"""Draws Meta-dropout as a schematic: meta_dropout.png and meta_dropout.svg beside this file, or in another folder.

python docs/img/schematic.py [FOLDER]

Equations: docs/reference/methods/noise_types.md; loops: docs/reference/tf1_behaviour.md.
"""

import pathlib
import sys

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from tf_metadrop.figures import layout, style

THETA, PHI = style.BLUE, style.VERMILLION  # what is adapted, what makes the noise
WIDTH, HEIGHT = 72, 43  # units of a tenth of an inch
LEFT = 45  # width of the loops; the rest is one block
BLOCKS = 15.5, 22.0, 28.5, 35.0  # their centres
TEXT, SYMBOL = 8.5, 10.5  # points
GLYPHS = (  # strokes of a character on a card, in [0, 1]
    (((0.2, 0.8), (0.5, 0.25), (0.8, 0.8)), ((0.5, 0.25), (0.5, 0.1))),
    (((0.2, 0.2), (0.2, 0.8), (0.75, 0.75), (0.7, 0.45), (0.2, 0.5)),),
    (((0.15, 0.5), (0.85, 0.5)), ((0.5, 0.85), (0.45, 0.15)), ((0.25, 0.25), (0.75, 0.8))),
)


def text(axes: Axes, x: float, y: float, words: str, colour: str = style.INK, size: float = TEXT, **more: str) -> None:
    """Words, centred at a place."""
    axes.text(x, y, words, **dict(ha="center", va="center", color=colour, fontsize=size, zorder=5) | more)


def box(axes: Axes, x: float, y: float, width: float, height: float, edge: str, face: str = style.PAPER) -> None:
    """A rounded box around a centre."""
    corner = x - width / 2 + 0.6, y - height / 2 + 0.6
    look = dict(boxstyle="round,pad=0.6", edgecolor=edge, facecolor=face, linewidth=1.3, zorder=3)
    axes.add_patch(FancyBboxPatch(corner, width - 1.2, height - 1.2, **look))


def circle(
    axes: Axes, x: float, y: float, words: str, colour: str, face: str = style.PAPER, radius: float = 1.9
) -> None:
    """A symbol in a circle."""
    axes.add_patch(Circle((x, y), radius, edgecolor=colour, facecolor=face, linewidth=1.3, zorder=3))
    text(axes, x, y, words, colour if face == style.PAPER else style.PAPER, SYMBOL)


def arrow(
    axes: Axes, *points: tuple[float, float], colour: str = style.INK, line: str = "-", width: float = 1.3
) -> None:
    """An arrow along points."""
    xs, ys = zip(*points, strict=True)
    axes.plot(xs[:-1], ys[:-1], color=colour, linestyle=line, linewidth=width, solid_capstyle="round", zorder=2)
    look = dict(arrowstyle="-|>", mutation_scale=9, shrinkA=0, shrinkB=0, color=colour, linewidth=width, zorder=2)
    axes.add_patch(FancyArrowPatch(points[-2], points[-1], linestyle=line, **look))


def cards(axes: Axes, x: float, y: float, bend: float) -> None:
    """Three images of as many classes, one above the other; `bend` makes other drawings of the same characters."""
    side = 3.6
    for number, strokes in enumerate(GLYPHS):
        left, bottom = x - side / 2, y - side / 2 + (1 - number) * (side + 0.5)
        axes.add_patch(
            FancyBboxPatch(
                (left, bottom),
                side,
                side,
                boxstyle="square,pad=0",
                edgecolor=style.PALE,
                facecolor=style.PAPER,
                zorder=3,
            )
        )
        for stroke in strokes:
            points = [
                (left + side * (a + bend * (b - 0.5)), bottom + side * (b - bend * a * (1 - a))) for a, b in stroke
            ]
            axes.plot(*zip(*points, strict=True), color=style.INK, linewidth=1.6, solid_capstyle="round", zorder=4)


def network(axes: Axes, y: float, weights: str, noise: str) -> None:
    """A chain of blocks with their noise generators above, from the images to the loss."""
    arrow(axes, (8.7, y), (BLOCKS[0] - 2.6, y))
    for x, following in zip(BLOCKS, (*[x - 2.6 for x in BLOCKS[1:]], 39.6), strict=True):
        box(axes, x, y, 5.0, 4.6, THETA)
        text(axes, x, y, weights, THETA, SYMBOL)
        circle(axes, x, y + 6.6, r"$\phi$", PHI)
        arrow(axes, (x - 3.4, y), (x - 3.4, y + 6.6), (x - 2.0, y + 6.6), colour=style.GREY, width=0.9)
        arrow(axes, (x, y + 4.7), (x, y + 2.4), colour=PHI)
        arrow(axes, (x + 2.5, y), (following, y))
    text(axes, BLOCKS[1] + 3.2, y + 10.2, noise, PHI)


def band(axes: Axes, left: float, bottom: float, width: float, height: float, words: str) -> None:
    """A pale background with a heading."""
    look = dict(boxstyle="round,pad=0,rounding_size=1", edgecolor="none", facecolor=style.FAINT, zorder=0)
    axes.add_patch(FancyBboxPatch((left, bottom), width, height, **look))
    text(axes, left + 1.2, bottom + height - 1.9, words, size=TEXT + 0.5, ha="left", fontweight="bold")


def draw_loops(axes: Axes) -> None:
    """Inner loop above, query below, and the outer update beside them."""
    band(axes, 0.5, 22.5, LEFT, 20, "Inner loop")
    upper = 29.6
    cards(axes, 6.2, upper, 0.0)
    text(axes, 6.2, upper + 6.7, "support")
    network(axes, upper, r"$\theta$", r"noise generator $\phi$: a new sample in each step")
    circle(axes, 41.5, upper, r"$L_S$", style.INK)
    arrow(axes, (41.5, upper - 2), (41.5, 24.6), (BLOCKS[0], 24.6), (BLOCKS[0], upper - 2.5), colour=THETA)
    text(axes, 27.5, 25.7, r"$K$ steps:  $\theta \leftarrow \theta - \eta\,\nabla_{\!\theta} L_S$", THETA, TEXT + 0.5)

    band(axes, 0.5, 0.5, LEFT, 20.5, "Outer loop")
    lower = 8.6
    cards(axes, 6.2, lower, 0.22)
    text(axes, 6.2, lower + 6.7, "query")
    network(axes, lower, r"$\theta_K$", r"noise at its mean ($\varepsilon = 0$)")
    circle(axes, 41.5, lower, r"$L_Q$", style.INK)
    arrow(axes, (41.5, lower - 2), (41.5, 4.0), (BLOCKS[0] + 0.4, 4.0))
    text(axes, BLOCKS[0] - 2.6, 4.0, r"$\theta,$", THETA, SYMBOL)
    text(axes, BLOCKS[0] - 0.9, 4.0, r"$\phi$", PHI, SYMBOL)
    text(axes, 27.5, 2.3, r"update by the gradient of $L_Q$ through all $K$ steps")


def draw_block(axes: Axes) -> None:
    """What one block computes."""
    left = LEFT + 2.0
    band(axes, left, 0.5, WIDTH - left - 0.5, 42, "One block")
    a, b = left + 7.3, left + 17.8  # the two columns
    middle = (a + b) / 2
    text(axes, middle, 37.6, "features $h$")
    arrow(axes, (middle, 36.6), (middle, 35.2), (a, 35.2), (a, 33.3))
    arrow(axes, (middle, 36.6), (middle, 35.2), (b, 35.2), (b, 33.3))
    for x, words, colour in ((a, r"conv $\theta$", THETA), (b, r"conv $\phi$", PHI)):
        box(axes, x, 31.2, 8.4, 4.2, colour)
        text(axes, x, 31.2, words, colour, TEXT + 0.5)
    arrow(axes, (b, 29.0), (b, 25.6), colour=PHI)
    text(axes, b + 1.5, 27.4, r"$\alpha$", PHI, SYMBOL)
    circle(axes, b, 23.8, "+", PHI, radius=1.7)
    text(axes, middle - 0.1, 26.4, r"$\varepsilon \sim \mathcal{N}(0, I)$", PHI)
    arrow(axes, (middle - 3, 23.8), (b - 1.8, 23.8), colour=PHI)
    arrow(axes, (b, 22.0), (b, 20.2), colour=PHI)
    box(axes, b, 18.1, 8.4, 4.0, PHI)
    text(axes, b, 18.1, "softplus", PHI)
    arrow(axes, (a, 29.0), (a, 14.6), colour=THETA)
    text(axes, a - 1.6, 27.4, r"$\mu$", THETA, SYMBOL)
    arrow(axes, (b, 16.0), (b, 12.8), (a + 1.8, 12.8), colour=PHI)
    circle(axes, a, 12.8, r"$\times$", style.INK, radius=1.7)
    arrow(axes, (a, 11.0), (a, 9.2))
    text(axes, a + 1.5, 10.3, "$x$", size=SYMBOL)
    box(axes, a, 7.1, 12.4, 4.0, style.GREY)
    text(axes, a, 7.1, "norm, ReLU, pool")
    text(axes, middle, 2.6, r"$x \,=\, \mu \cdot$ softplus$(\alpha + \varepsilon)$", size=TEXT + 0.5)


def draw(folder: pathlib.Path) -> list[pathlib.Path]:
    """Writes both files; returns their paths."""
    with rc_context({"mathtext.fontset": "stixsans", "svg.hashsalt": "meta_dropout", "svg.fonttype": "path"}):
        figure = layout.new_figure(WIDTH / 10, HEIGHT / 10)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
        axes.axis("off")
        draw_loops(axes)
        draw_block(axes)
        return [layout.save(figure, folder / f"meta_dropout.{kind}") for kind in ("png", "svg")]


if __name__ == "__main__":
    for written in draw(pathlib.Path(*sys.argv[1:2]) if sys.argv[1:] else pathlib.Path(__file__).parent):
        print(f"wrote {written}")
