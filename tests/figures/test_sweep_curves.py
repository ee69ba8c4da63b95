"""The figure of a sweep."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from tests.helpers.pictures import assert_shows, curves_of, recorded_figures
from tf_metadrop.figures import layout, style, sweep_curves


def test_sweep_figure_of_one_parameter_and_of_two(tmp_path, monkeypatch):
    rows = [
        dict(inner_lr=rate, noise_type=kind, val_accuracy=v, val_interval=1.0, test_accuracy=v + 1, test_interval=1.0)
        for kind in ("maml", "metadrop")
        for rate, v in ((0.001, 50.0), (0.1, 90.0), (1.0, 40.0))
    ]
    figures = recorded_figures(monkeypatch)
    for name, some, swept, labels in (
        ("two.png", rows, ["noise_type", "inner_lr"], ["MAML", "Meta-dropout"]),
        ("one.png", rows[:3], ["inner_lr"], [""]),
    ):
        assert_shows(sweep_curves.draw(tmp_path / name, some, swept), [style.BLUE, style.VERMILLION][: len(labels)])
        (axes,) = figures[name].axes
        found = curves_of(axes)
        assert list(found) == labels
        for points in found.values():
            np.testing.assert_allclose(points, [[0.001, 51], [0.1, 91], [1, 41]])
        *rings, key = [each.get_offsets() for each in axes.collections if isinstance(each, PathCollection)]
        assert [ring.tolist() for ring in rings] == [[[0.1, 91.0]]] * len(labels) and not len(key)
        assert axes.get_xlabel() == "Inner learning rate" and axes.get_xscale() == "log"


@pytest.mark.parametrize(
    ("values", "kind", "ticks"),
    [
        ([0.02, 0.05, 0.1, 0.2], "log", ["0.02", "0.05", "0.1", "0.2"]),
        ([0, 0.1, 1], "linear", ["0", "0.1", "1"]),
        ([1, 3, 5], "linear", ["1", "3", "5"]),
    ],
)
def test_sweep_figure_has_its_ticks_at_the_swept_values(values, kind, ticks):
    axes = layout.new_figure(3, 3).subplots()
    axes.plot(values, values)
    sweep_curves.scale(axes, values)
    assert axes.get_xscale() == kind and [tick.get_text() for tick in axes.get_xticklabels()] == ticks


def test_many_curves_of_a_sweep_share_no_panel(tmp_path, monkeypatch):
    rows = [
        dict(n_steps=steps, inner_lr=rate, val_accuracy=1.0, val_interval=1.0, test_accuracy=2.0, test_interval=None)
        for steps in range(9)
        for rate in (0.1, 0.2)
    ]
    figures = recorded_figures(monkeypatch)
    sweep_curves.draw(tmp_path / "many.png", rows, ["inner_lr", "n_steps"])
    found = [list(curves_of(axes)) for axes in figures["many.png"].axes]
    assert max(map(len, found)) <= layout.MOST and sorted(sum(found, [])) == [str(steps) for steps in range(9)]
