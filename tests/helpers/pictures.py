"""What pictures hold."""

import pathlib
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

Picture = pathlib.Path | BinaryIO
FEWEST = 30  # pixels of a curve's own colour: the smoothed edge of a line has others


def pixels(path: Picture) -> np.ndarray:
    """A picture as [height, width, 3], uint8."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def colours_shown(path: Picture, colours: Iterable[str]) -> set[str]:
    """Those of the colours that a picture has in at least FEWEST pixels."""
    found = pixels(path).reshape(-1, 3)
    of = lambda colour: np.round(255 * np.array(to_rgb(colour))).astype(np.uint8)
    return {colour for colour in colours if np.sum(np.all(found == of(colour), 1)) >= FEWEST}


def assert_shows(path: Picture, colours: Iterable[str], size: tuple[int, int] | None = None) -> None:
    """The picture has every one of these colours on white paper, and the size (width, height) in pixels."""
    found = pixels(path)
    assert colours_shown(path, colours) == set(colours), path
    white = np.mean(np.all(found == 255, -1))
    assert 0.3 < white < 0.99, (path, white)
    assert size is None or found.shape[1::-1] == size, (path, found.shape)


def recorded_figures(monkeypatch) -> dict[str, Figure]:
    """{file name: figure} of the matplotlib figures that are written from now on; they are written all the same."""
    figures, savefig = {}, Figure.savefig

    def save(figure, path, **options):
        figures[pathlib.Path(path).name] = figure
        return savefig(figure, path, **options)

    monkeypatch.setattr(Figure, "savefig", save)
    return figures


def curves_of(axes) -> dict[str, np.ndarray]:
    """{label: points [n, 2]} of a panel's lines: those that have a label, and all that have error bars."""
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    bars = {each.get_label(): each.lines[0] for each in axes.containers}
    lines |= {"" if label.startswith("_") else label: line for label, line in bars.items()}
    return {label: line.get_xydata() for label, line in lines.items()}
