"""The schematic of Meta-dropout: it is drawn, small, readable, and the committed file is what the program draws."""

import runpy
import xml.etree.ElementTree as ElementTree

import numpy as np

from tests.helpers.pictures import colours_shown, pixels, recorded_figures
from tests.helpers.runs import ROOT
from tf_metadrop.figures import style

HERE = ROOT / "docs" / "img"
SHOWN, SMALLEST = 700, 11  # pixels: the width at which it must be readable, and the smallest type there


def test_the_committed_schematic_is_the_one_that_is_drawn(tmp_path, monkeypatch):
    figures = recorded_figures(monkeypatch)
    png, svg = runpy.run_path(str(HERE / "schematic.py"))["draw"](tmp_path)
    assert colours_shown(png, [style.BLUE, style.VERMILLION]) == {style.BLUE, style.VERMILLION}
    assert png.stat().st_size < 150_000
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    kept, drawn = pixels(HERE / png.name), pixels(png)
    assert kept.shape == drawn.shape and np.mean(np.any(kept != drawn, -1)) < 0.01  # another matplotlib's smoothing
    assert (HERE / svg.name).is_file() and b"<dc:date>" not in svg.read_bytes()
    figure = figures[png.name]
    (axes,) = figure.axes
    per_point = SHOWN / figure.get_figwidth() / 72
    assert min(words.get_fontsize() for words in axes.texts) * per_point >= SMALLEST
    (width, height) = (figure.get_figwidth() * 10, figure.get_figheight() * 10)
    for words in axes.texts:
        box = words.get_window_extent().transformed(axes.transData.inverted())
        assert 0 <= box.x0 and box.x1 <= width and 0 <= box.y0 and box.y1 <= height, words.get_text()
