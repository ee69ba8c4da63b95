"""Training curves, read from logs."""

import pytest

from tests.helpers.pictures import recorded_figures
from tf_metadrop.figures import curves, layout, style


def test_curves_read_the_tf1_programs_log(tmp_path):
    lines = (
        "metabatch: 2\nmaml: False\n\n\nIter 0 start, learning rate 0.001000\n"
        "meta_train: episode 0, (36.000 secs), cent 1.346111, acc 0.560000\n"
        "meta_test : episode 0, (72.000 secs), cent 1.337117, acc 0.467600\n"
        "meta_train: episode 100, (136.000 secs), cent 0.921368, acc 0.666000\n"
    )
    (tmp_path / "meta_train.log").write_text(lines)
    found = curves.load(tmp_path)
    assert found["meta_train"] == dict(
        iter=[0, 50], hours=[0.01, 136 / 3600], cent=[1.346111, 0.921368], acc=[0.56, 0.666]
    )
    assert found["meta_test"]["acc"] == [0.4676]
    assert curves.seconds_per_iteration(found) == pytest.approx(2.0)


def run(splits=("meta_train", "meta_test")):
    """A run's curves, as `load` gives them."""
    return {split: dict(iter=[0, 50], hours=[0, 1], cent=[1.0, 0.5], acc=[0.5, 0.75]) for split in splits}


def test_a_run_has_the_colour_of_its_method(tmp_path):
    for name, more in (("a", "maml: True"), ("b", "maml: False\nnoise_type: metadrop"), ("c", "noise_type: additive")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "meta_train.log").write_text(f"dataset: my_photos\nmetabatch: 2\n{more}\n\n")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "meta_train.log").write_text("dataset: my_photos\nnoise_type: my_noise\n\n")
    found = curves.methods({name: tmp_path / name for name in ("a", "b", "c", "missing", "theirs")})
    assert found == {"a": "maml", "b": "metadrop", "c": "additive"}
    colours = curves.colours_of(["a", "b", "again"], found | {"again": "maml"})
    assert (colours["a"], colours["b"]) == (style.BLUE, style.VERMILLION)
    assert colours["again"] == style.shade("maml", 1) != style.BLUE


@pytest.mark.parametrize("count", [1, 4, 7])
def test_no_panel_of_many_runs_is_crowded(count, tmp_path, monkeypatch):
    figures = recorded_figures(monkeypatch)
    curves.draw(tmp_path / "curves.png", {f"run {number}": run() for number in range(count)})
    panels = figures["curves.png"].axes
    assert max(len(axes.lines) for axes in panels) <= layout.MOST
    assert sum(len(axes.lines) for axes in panels) == 4 * 2 * count
    assert panels[-2].get_xlabel() == "Meta-iteration" and panels[-1].get_xlabel() == "Time (minutes)"
