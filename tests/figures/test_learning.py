"""Figures of learning curves."""

import numpy as np

from tests.helpers.pictures import recorded_figures
from tf_metadrop.figures import layout, learning, style

LOOK = dict(color=style.BLUE, linestyle="-")
CURVE = learning.Curve("exact", LOOK, [0, 250, 500, 750], [0, 1, 2, 3], [0.1, 0.2, 0.3, 0.4])


def panel(*curves, method="maml"):
    return learning.Panel(method, "a note", list(curves))


def drawn(tmp_path, monkeypatch, rows, **more):
    """The figure, as it is written."""
    figures = recorded_figures(monkeypatch)
    learning.draw(tmp_path / "figure.png", rows, "title", "Accuracy (%)", **more)
    return figures["figure.png"]


def test_a_steep_start_does_not_squeeze_the_rest_of_a_curve():
    curve = CURVE._replace(iterations=[0, 250, 500, 1000], accuracies=[0.25, 0.5, 0.75, 0.5])
    assert learning.after_the_rise([curve]) == [75, 50]
    assert learning.after_the_rise([curve._replace(iterations=[0], hours=[0], accuracies=[0.25])]) == []


def test_runs_of_a_line_are_averaged_where_all_were_evaluated(tmp_path, monkeypatch):
    seldom = CURVE._replace(iterations=[0, 500, 750], hours=[0, 4, 5], accuracies=[0.3, 0.5, 0.6])
    figure = drawn(tmp_path, monkeypatch, [[panel(CURVE, seldom)]])
    (line,) = figure.axes[0].lines
    np.testing.assert_allclose(line.get_xydata(), [[0, 20], [500, 40], [750, 50]])
    (line,) = drawn(tmp_path, monkeypatch, [[panel(CURVE, seldom)]], across="hours").axes[0].lines
    np.testing.assert_allclose(line.get_xdata(), [0, 3, 4])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["exact", learning.RANGE]
    shorter = seldom._replace(iterations=[0, 500], hours=[0, 2], accuracies=[0.3, 0.5])  # cuts the other short nowhere
    lines = drawn(tmp_path, monkeypatch, [[panel(CURVE, shorter)]]).axes[0].lines
    assert [len(line.get_xydata()) for line in lines] == [4, 2]


def test_a_panel_with_too_many_lines_becomes_several(tmp_path, monkeypatch):
    many = [CURVE._replace(label=str(number)) for number in range(layout.MOST + 1)]
    figure = drawn(tmp_path, monkeypatch, [[panel(*many), panel(CURVE, method="metadrop")]])
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [len(axes.lines) for axes in shown] == [4, 1, 3]
    assert sorted(label for axes in shown[::2] for label in [line.get_label() for line in axes.lines]) == sorted(
        curve.label for curve in many
    )


def test_labels_stand_beside_the_lines_or_in_the_legend(tmp_path, monkeypatch):
    other = CURVE._replace(label="other", accuracies=[0.1, 0.2, 0.3, 0.9])
    published = panel(CURVE, other)._replace(published=[learning.Published("paper", 95.25)])
    beside = drawn(tmp_path, monkeypatch, [[published]], beside=True)
    assert not beside.legends
    texts = [text.get_text() for text in beside.axes[0].texts]
    assert {"exact", "other", "paper 95.2", "MAML"} <= set(texts)
    below = drawn(tmp_path, monkeypatch, [[published]])
    assert [text.get_text() for text in below.legends[0].get_texts()] == ["exact", "other"]
    assert below.axes[0].get_ylim()[1] > 95.25
