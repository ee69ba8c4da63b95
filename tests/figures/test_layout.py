"""Sizes, legends and labels of figures."""

import numpy as np
import pytest
from PIL import Image

from tests.helpers.pictures import colours_shown
from tf_metadrop.figures import layout, style


def test_pieces_are_of_about_one_size_and_none_is_too_large():
    assert [len(piece) for piece in layout.chunks(range(13))] == [4, 5, 4]
    assert layout.chunks("abc", 2) == ["ab", "c"]
    assert layout.chunks([]) == [[]] and layout.chunks(range(6)) == [range(6)]
    for count in range(1, 40):
        pieces = layout.chunks(range(count))
        assert [x for piece in pieces for x in piece] == list(range(count))
        assert max(map(len, pieces)) <= layout.MOST and min(map(len, pieces)) >= max(map(len, pieces)) - 1


def test_labels_beside_a_panel_do_not_overlap_and_stay_where_there_is_room():
    places = [1.0, 1.1, 1.15, 5.0]
    moved = layout.spread(places, 0.5)
    assert moved[3] == 5 and (np.diff(moved) >= 0.5 - 1e-9).all()
    assert np.mean(moved[:3]) == pytest.approx(np.mean(places[:3]))
    assert layout.spread(places, 0.01) == places


def test_a_legend_is_one_row_where_it_fits():
    assert layout.legend_columns(["exact", "tf1", "first"], 6.8) == 3
    assert layout.legend_columns(["a label of forty letters, more or less."] * 3, 3.4) == 1
    assert layout.legend_columns(["twenty letters, more"] * 6, 6.8) == 3


def test_a_png_is_small_and_keeps_its_colours(tmp_path):
    figure = layout.new_figure(layout.COLUMN, 2)
    axes = figure.subplots()
    for method, height in (("maml", 1), ("metadrop", 2)):
        axes.plot([0, 1], [height, height], color=style.colour(method), linewidth=3)
    path = layout.save(figure, tmp_path / "new" / "figure.png")
    with Image.open(path) as picture:
        assert picture.size == (round(layout.DOTS * layout.COLUMN), 2 * layout.DOTS) and picture.mode == "P"
    assert colours_shown(path, [style.BLUE, style.VERMILLION]) == {style.BLUE, style.VERMILLION}
    with Image.open(layout.save(figure, tmp_path / "all.png", shades=True)) as picture:
        assert picture.mode == "RGB"
    assert layout.save(figure, tmp_path / "figure.svg").read_text().startswith("<?xml")
