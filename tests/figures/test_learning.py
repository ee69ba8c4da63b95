"""Figures of learning curves."""

import numpy as np

from tf_metadrop.figures import learning, style


def test_a_steep_start_does_not_squeeze_the_rest_of_a_curve():
    curve = learning.Curve("maml", "exact", "maml", [0, 250, 500, 1000], [0, 1, 2, 4], [0.25, 0.5, 0.75, 0.5])
    assert learning.after_the_rise([curve]) == [75, 50]
    assert learning.after_the_rise([curve._replace(iterations=[0], hours=[0], accuracies=[0.25])]) == []


def test_runs_of_a_figure_are_averaged_where_both_were_evaluated(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(style, "save", lambda figure, path: lines.extend(figure.axes[0].lines))
    often = learning.Curve("maml", "exact", "maml", [0, 250, 500, 750], [0, 1, 2, 3], [0.1, 0.2, 0.3, 0.4])
    seldom = often._replace(iterations=[0, 500, 750], hours=[0, 2, 3], accuracies=[0.3, 0.5, 0.6])
    learning.draw(tmp_path, [often, seldom], [], "y")
    np.testing.assert_allclose(lines.pop().get_xydata(), [[0, 20], [500, 40], [750, 50]])
    shorter = seldom._replace(iterations=[0, 500], hours=[0, 2], accuracies=[0.3, 0.5])  # cuts the other short nowhere
    learning.draw(tmp_path, [often, shorter], [], "y")
    assert [len(line.get_xydata()) for line in lines] == [4, 2]
