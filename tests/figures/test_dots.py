"""Figures of final accuracies."""

import numpy as np

from tests.helpers.pictures import assert_shows, recorded_figures
from tf_metadrop.figures import dots, style


def test_dots_have_intervals_seeds_and_a_marker_for_each_meta_gradient(tmp_path, monkeypatch):
    figures = recorded_figures(monkeypatch)
    rows = {
        "metadrop": [dots.Dot("exact", 97.0, 0.25, [96.5, 97.5])],
        "maml": [dots.Dot("exact", 95.0, 0.5, [95.0]), dots.Dot("tf1", 96.0, None, [96.0])],
    }
    path = dots.draw(tmp_path / "dots.png", [dots.Panel("task", rows)], "title")
    assert_shows(path, [style.BLUE, style.VERMILLION])
    (axes,) = figures["dots.png"].axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["MAML", "Meta-dropout"]  # whatever was given first
    means = [(bar.lines[0].get_xdata()[0], bar.lines[0].get_marker()) for bar in axes.containers]
    assert means == [(95, "o"), (96, "s"), (97, "o")]
    spans = [bar.lines[2][0].get_segments()[0][:, 0].tolist() for bar in axes.containers if bar.lines[2]]
    np.testing.assert_allclose(spans, [[94.5, 95.5], [96.75, 97.25]])
    heights = [bar.lines[0].get_ydata()[0] for bar in axes.containers]
    assert heights == sorted(set(heights)) and axes.yaxis_inverted()
    (seeds,) = [each.get_offsets()[:, 0].tolist() for each in axes.collections if len(each.get_offsets()) > 1]
    assert seeds == [96.5, 97.5]
    labels = [text.get_text() for text in figures["dots.png"].legends[0].get_texts()]
    assert labels == ["exact", style.GRADIENTS["tf1"], dots.SEED]
