"""The figures beside the tables: which runs share a figure, a line, a name."""

import json

import numpy as np
import pytest

from tests.helpers.savedirs import LOG, finished
from tf_metadrop import Config
from tf_metadrop.analysis import table_figures
from tf_metadrop.config import identity
from tf_metadrop.runs.finished import find


def test_curves_on_other_classes_have_a_figure_of_their_own(tmp_path):
    finished(tmp_path / "val", np.full(4, 0.5))
    finished(tmp_path / "test", np.full(4, 0.5), eval_split="test")
    assert table_figures.draw(find([tmp_path]), {}, tmp_path).keys() == {"omniglot 5-way 1-shot, gradients"}
    (tmp_path / "test" / "meta_train.log").write_text(LOG.replace("meta_val", "meta_test"))
    titles = [*table_figures.draw(find([tmp_path]), {}, tmp_path)]
    assert titles == [f"omniglot 5-way 1-shot, gradients{where}" for where in ("", ", evaluated on test classes")]


def test_of_several_learning_rates_the_one_of_most_runs_is_the_method_s(tmp_path):
    for name, seed, rate in (("a", 0, 0.05), ("b", 1, 0.05), ("c", 0, 0.1)):
        finished(tmp_path / name, np.full(4, 0.5), seed=seed, inner_lr=rate)
    runs = find([tmp_path])
    names = lambda runs: [curve.colour for curve in table_figures.evaluations(runs, "meta_val", False)]
    assert names(runs) == ["metadrop", "metadrop (inner_lr 0.1)", "metadrop"]
    assert names(runs[1:]) == ["metadrop (inner_lr 0.1)", "metadrop (inner_lr 0.05)"] and names(runs[2:]) == [
        "metadrop"
    ]


@pytest.mark.parametrize(("key", "value"), [("normalization", "support"), ("precision", "bfloat16")])
def test_the_curves_are_of_the_usual_normalisation_and_precision(key, value, tmp_path):
    for name, seed, settings in (("a", 0, {}), ("b", 1, {}), ("c", 0, {key: value})):
        finished(tmp_path / name, np.full(4, 0.5), seed=seed, **settings)
    drawn = lambda runs: [run.directory.name for run in table_figures.usual(runs)]
    runs = find([tmp_path])
    assert drawn(runs) == ["a", "b"] and drawn(runs[2:]) == ["c"]  # alone, it is the usual one


@pytest.mark.parametrize("key", ["data_dir", "episodes"])
def test_runs_on_other_images_or_episodes_than_most_are_lines_of_their_own(key, tmp_path):
    usual, other = Config.__dataclass_fields__[key].default, "shared_classes"  # a folder may be called so too
    for name, seed, value in (("a", 0, usual), ("b", 1, usual), ("c", 0, other)):
        finished(tmp_path / name, np.full(4, 0.5), seed=seed, **{key: value})
    runs = find([tmp_path])
    labels = lambda runs: [curve.label for curve in table_figures.evaluations(runs, "meta_val", False)]
    assert labels(runs) == ["metadrop", f"metadrop ({other})", "metadrop"]
    assert labels(runs[1:]) == [f"metadrop ({other})", f"metadrop ({usual})"] and labels(runs[2:]) == ["metadrop"]


@pytest.mark.parametrize("key", ["data_dir", "episodes"])
def test_a_run_that_does_not_say_its_images_or_episodes_is_one_of_the_others(key, tmp_path):
    for name, seed in (("a", 0), ("b", 1), ("c", 2)):
        finished(tmp_path / name, np.full(4, 0.5), seed=seed)
    path = tmp_path / "c" / "meta_test.json"  # tested from the weights and the log alone
    test = json.loads(path.read_text())
    del test["trained_with"][key]
    path.write_text(json.dumps(test))
    runs = find([tmp_path])
    for some in (runs, runs[2:]):
        assert {curve.label for curve in table_figures.evaluations(some, "meta_val", False)} == {"metadrop"}
    assert identity.comparable(runs[0].trained_with, runs[2].trained_with)


def test_attacked_runs_are_told_apart(tmp_path):
    attacked = [("a", 20, True, 9), ("b", 1, True, 9), ("c", 20, False, 9), ("d", 20, False, 9), ("e", 20, False, 8)]
    for name, steps, maml, iterations in attacked:
        config = Config(dataset="omniglot", way=5, maml=maml).as_dict()
        rows = [dict(norm="l2", epsilon=1.0, accuracy_percent=50.0, ci95=1.0, tasks=9, steps=steps, restarts=1)]
        trained = config | dict(iteration=iterations)
        (tmp_path / name).mkdir()
        (tmp_path / name / "attack.json").write_text(json.dumps(dict(rows=rows, config=config, trained_with=trained)))
    runs = find([tmp_path])
    names = ["maml (20 steps)", "maml (1 step)", "metadrop (c)", "metadrop (d)", "metadrop (8 its, 20 steps)"]
    assert [*table_figures.labels(runs)] == names and [*table_figures.labels(runs[1:3])] == ["maml", "metadrop"]
