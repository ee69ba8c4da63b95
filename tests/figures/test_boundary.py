"""Figures of decision boundaries: what is drawn, and which exports are refused."""

import numpy as np
import pytest

from tests.helpers.savedirs import made_task
from tf_metadrop import UsageError
from tf_metadrop.figures import boundary
from tf_metadrop.modes.export import write_pickle


def test_first_axis_is_the_distance_from_the_boundary():
    task = made_task()
    for step, points in enumerate(boundary.projections(task, 0)):
        for name, features in (("support", task["htr"][step]), ("query", task["hte"][step])):
            logits = features @ task["w"][step] + task["b"][step]
            w = task["w"][step][:, 1] - task["w"][step][:, 0]
            np.testing.assert_allclose(points[name][:, 0], (logits[:, 1] - logits[:, 0]) / np.linalg.norm(w), atol=1e-9)
        assert points["sampled"].shape == (16, 2) and np.isfinite(points["sampled"]).all()
        # Samples are those of the support images in turns, all samples after one another.
        normal = w / np.linalg.norm(w)
        offset = (task["b"][step][1] - task["b"][step][0]) / np.linalg.norm(w)
        np.testing.assert_allclose(points["sampled"][5, 0], task["htr_sample"][step, 1, 1] @ normal + offset, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.pop("w"), "w is not an array of numbers with 3 axes"),
        (lambda t: t.update(b=t["b"][:1]), r"b is \[1, 2\], not \[2, 2\]"),
        (lambda t: t.update(hte=t["hte"] * np.nan), "hte is not finite"),
        (lambda t: t.update(htr_sample=np.array(["a"])), "htr_sample is not an array of numbers with 4 axes"),
        (lambda t: t.update(ytr=t["ytr"] + 1), "a class is not 0 or 1"),
    ],
)
def test_broken_exports_are_refused(tmp_path, change, sentence):
    task = made_task()
    change(task)
    write_pickle(tmp_path / "export.pkl", [task])
    with pytest.raises(UsageError, match=sentence):
        boundary.load(tmp_path / "export.pkl")
