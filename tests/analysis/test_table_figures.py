"""The figures beside the tables: which runs share a figure, a panel, a line."""

import json
import re

import numpy as np
import pytest

from tests.helpers.pictures import curves_of, pixels, recorded_figures
from tests.helpers.runs import ROOT
from tests.helpers.savedirs import LOG, attacked, finished
from tf_metadrop import Config
from tf_metadrop.analysis import published, seeds, table_figures, tables, usual
from tf_metadrop.config import identity
from tf_metadrop.figures import dots, layout, style
from tf_metadrop.runs.finished import find

KILOBYTES = 150  # of a picture


@pytest.mark.slow
def test_every_committed_figure_can_be_read(tmp_path, monkeypatch):
    """Draws the figures of results/: few lines a panel, a label each, methods' names, small files, none out of date."""
    figures = recorded_figures(monkeypatch)
    written = table_figures.draw(find([ROOT / "results"]), published.accuracies(), tmp_path)
    assert {path.name for path in written.values()} == {path.name for path in (ROOT / "results").glob("*.png")}
    for title, path in written.items():
        figure = figures[path.name]
        assert path.stat().st_size < 1000 * KILOBYTES and pixels(path).shape[1] == 2 * layout.COLUMN * layout.DOTS
        assert figure.get_suptitle() and title.split(":")[0] in figure.get_suptitle()
        legend = [text.get_text() for each in figure.legends for text in each.get_texts()]
        beside = [text.get_text() for axes in figure.axes for text in axes.texts]
        ticks = [tick.get_text() for axes in figure.axes for tick in axes.get_yticklabels()]
        for axes in figure.axes:
            found = curves_of(axes)
            if not path.name.startswith("accuracy"):
                lines = [line for line in axes.lines if line.get_linestyle() != "None"]  # not the ends of error bars
                assert len(found) <= layout.MOST and len(lines) <= layout.MOST, (path.name, list(found))
                assert set(found) <= {*legend, *beside}, path.name
                drawn = {(line.get_color(), str(line._unscaled_dash_pattern), line.get_marker()) for line in lines}
                assert len(drawn) >= len(found), path.name  # no two lines that look the same
            for axis in (axes.xaxis, axes.yaxis):
                assert all(text.get_fontsize() >= layout.SMALL for text in axis.get_ticklabels())
        for text in (*legend, *beside, *ticks):
            assert not re.search(r"\b(maml|metadrop|metasgd)\b|\w+_gaussian", text), (path.name, text)


def test_curves_on_other_classes_have_a_figure_of_their_own(tmp_path):
    finished(tmp_path / "val", np.full(4, 0.5))
    finished(tmp_path / "test", np.full(4, 0.5), eval_split="test")
    both = [f"Omniglot 5-way 1-shot: meta-gradients{what}" for what in ("", ", over time")]
    assert table_figures.draw(find([tmp_path]), {}, tmp_path).keys() == set(both)
    (tmp_path / "test" / "meta_train.log").write_text(LOG.replace("meta_val", "meta_test"))
    titles = [*table_figures.draw(find([tmp_path]), {}, tmp_path)]
    assert titles == [f"{title}{where}" for where in ("", ", on test classes") for title in both]


def drawn(folder):
    """The runs of a folder that were evaluated on validation classes."""
    return table_figures.with_curves(find([folder]), "meta_val")


def apart(folder):
    """What sets those runs apart, by the folder's name."""
    found = drawn(folder)
    return {run.directory.name: other for (run, _), other in zip(found, usual.deviations(found), strict=True)}


def lines(rows):
    """{(method, note): labels of the lines} of rows of panels."""
    return {
        (panel.method, panel.note): list(dict.fromkeys(curve.label for curve in panel.curves))
        for row in rows for panel in row if panel
    }  # fmt: skip


def test_of_several_learning_rates_the_one_of_most_runs_is_the_method_s(tmp_path):
    for name, seed, rate in (("a", 0, 0.05), ("b", 1, 0.05), ("c", 0, 0.1)):
        finished(tmp_path / name, np.full(4, 0.5), seed=seed, inner_lr=rate)
    assert apart(tmp_path) == {"a": {}, "b": {}, "c": {"inner_lr": 0.1}}
    assert lines(table_figures.gradients(drawn(tmp_path), {}, ())) == {("metadrop", ""): ["exact"]}
    found = lines(table_figures.settings(drawn(tmp_path)))
    assert found == {("metadrop", "inner learning rate"): ["0.05, exact", "0.1, exact"]}


def test_each_meta_gradient_may_have_a_learning_rate_of_its_own(tmp_path):
    for gradient, rate in (("exact", 0.1), ("tf1", 0.05), ("first", 0.2)):
        for seed in (0, 1):
            finished(tmp_path / f"{gradient}{seed}", np.full(4, 0.5), seed=seed, second_order=gradient, inner_lr=rate)
    assert not any(apart(tmp_path).values())
    (row,) = table_figures.gradients(drawn(tmp_path), {}, ())
    (panel,) = row
    assert [curve.label for curve in panel.curves[::2]] == list(style.GRADIENTS.values())
    assert {curve.look["color"] for curve in panel.curves} == {style.VERMILLION}
    assert [curve.look["linestyle"] for curve in panel.curves[::2]] == list(style.DASHES[:3])


def test_runs_on_other_images_have_figures_of_their_own(tmp_path):
    """Their validation classes are others."""
    for name, seed, settings in (("a", 0, {}), ("b", 1, {}), ("c", 2, {"data_dir": "else/where"})):
        finished(tmp_path / name, np.full(4, 0.5), seed=seed, **settings)
    groups = usual.of_images(find([tmp_path]))
    assert {key: [run.directory.name for run in runs] for key, runs in groups.items()} == {
        "": ["a", "b"], "else/where": ["c"],
    }  # fmt: skip
    written = table_figures.draw(find([tmp_path]), {}, tmp_path / "figures")
    title, stem = "Omniglot 5-way 1-shot", "learning_omniglot_5way1shot"
    assert {key: path.name for key, path in written.items()} == {
        f"{title}: meta-gradients": f"{stem}_gradients.png",
        f"{title}: meta-gradients, over time": f"{stem}_gradients_over_time.png",
        f"{title}, images in else/where: meta-gradients": f"{stem}_else_where_gradients.png",
    }


def test_runs_of_which_none_is_usual_are_drawn_by_meta_gradient_with_a_note(tmp_path):
    finished(tmp_path / "a", np.full(4, 0.5))
    finished(tmp_path / "b", np.full(4, 0.5), second_order="tf1", episodes="shared_classes", meta_lr=3e-4)
    found = lines(table_figures.gradients(drawn(tmp_path), {}, ()))
    assert found == {("metadrop", "also differ in outer learning rate, episodes"): [*style.GRADIENTS.values()][:2]}
    assert not table_figures.settings(drawn(tmp_path))
    finished(tmp_path / "c", np.full(4, 0.5), second_order="tf1", meta_lr=1e-4)  # a line of "b" and "c" would be wrong
    finished(tmp_path / "d", np.full(4, 0.5), episodes="shared_classes")
    for each in apart(tmp_path).values():
        assert each
    assert not table_figures.gradients(drawn(tmp_path), {}, ()) and table_figures.settings(drawn(tmp_path))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("normalization", "support"),
        ("precision", "bfloat16"),
        ("episodes", "shared_classes"),
    ],
)
def test_runs_with_another_setting_than_most_are_in_the_figure_of_settings(key, value, tmp_path):
    for name, seed, settings in (("a", 0, {}), ("b", 1, {}), ("c", 2, {key: value})):
        finished(tmp_path / name, np.full(4, 0.5), seed=seed, **settings)
    assert apart(tmp_path) == {"a": {}, "b": {}, "c": {key: value}}
    (row,) = table_figures.gradients(drawn(tmp_path), {}, ())
    assert len(row[0].curves) == 2
    ((labels,),) = [list(lines(table_figures.settings(drawn(tmp_path))).values())]
    assert labels == [f"{getattr(Config(), key)}, exact", f"{value}, exact"]
    finished(tmp_path / "alone" / "c", np.full(4, 0.5), **{key: value})
    assert apart(tmp_path / "alone") == {"c": {}}  # alone, it is the usual one


@pytest.mark.parametrize("key", ["data_dir", "episodes"])
def test_a_run_that_does_not_say_its_images_or_episodes_is_one_of_the_others(key, tmp_path):
    for name, seed in (("a", 0), ("b", 1), ("c", 2)):
        finished(tmp_path / name, np.full(4, 0.5), seed=seed)
    path = tmp_path / "c" / "meta_test.json"  # tested from the weights and the log alone
    test = json.loads(path.read_text())
    del test["trained_with"][key]
    path.write_text(json.dumps(test))
    runs = find([tmp_path])
    assert not any(apart(tmp_path).values()) and len(usual.of_images(runs)) == 1
    assert identity.comparable(runs[0].trained_with, runs[2].trained_with)


def test_methods_have_a_panel_each_with_maml_beside_it(tmp_path):
    for name, settings in (
        ("maml", dict(maml=True)), ("drop", {}), ("ours", dict(noise_type="additive")),
        ("report", dict(noise_type="additive", noise_variant="report")), ("tf1", dict(second_order="tf1")),
    ):  # fmt: skip
        finished(tmp_path / name, np.full(4, 0.5), **settings)
    rows = table_figures.methods(drawn(tmp_path))
    assert [len(row) for row in rows] == [table_figures.COLUMNS]
    assert lines(rows) == {
        ("metadrop", ""): ["MAML", "the method"],
        ("additive", ""): ["MAML", "the method", "its definition in the report"],
    }
    for row in rows:
        for panel in filter(None, row):
            for curve in panel.curves[1:]:
                assert curve.look["color"] == style.colour(panel.method)
    assert not table_figures.methods([each for each in drawn(tmp_path) if each[0].config.method in style.COMPARED])


def test_final_accuracies_are_means_over_seeds_with_intervals_over_tasks_and_seeds(tmp_path):
    tasks = np.array([[0.5, 0.7, 0.9, 0.7], [0.6, 0.6, 1.0, 0.6]])
    for seed, accuracies in enumerate(tasks):
        finished(tmp_path / f"a{seed}", accuracies, seed=seed)
    finished(tmp_path / "b", tasks[0], second_order="tf1")
    (exact, tf1) = table_figures.final(find([tmp_path]), [])["metadrop"]
    assert (exact.gradient, tf1.gradient, tf1.seeds) == ("exact", "tf1", [pytest.approx(70)])
    assert exact.mean == pytest.approx(70) and exact.seeds == pytest.approx([70, 70])
    half = 1.96 * 100 * tasks.mean(0).std() / 2
    assert exact.half == pytest.approx(half, rel=1e-3)
    settings = [np.array([70, 70 + 0.5 * 2**0.5])] * 2  # a deviation of 0.5, with 2 degrees of freedom
    wider = table_figures.final(find([tmp_path]), settings)["metadrop"][0]
    assert wider.half == pytest.approx(np.hypot(half, 4.3027 * 0.5 / 2**0.5), rel=1e-3)
    (tmp_path / "a0" / "meta_test.csv").unlink()
    assert table_figures.final(find([tmp_path]), [])["metadrop"][0] == dots.Dot("exact", exact.mean, 1.0, exact.seeds)


def test_attacked_runs_are_distinguished_by_iterations_or_else_by_folder(tmp_path):
    cases = [("a", 20, True, 9, 1), ("b", 1, True, 9, 1), ("c", 20, False, 9, 5), ("d", 20, False, 9, 5)]
    for name, steps, maml, iterations, samples in [*cases, ("e", 20, False, 8, 5), ("f", 20, False, 8, 30)]:
        config = Config(dataset="omniglot", way=5, maml=maml, n_test_mc_samp=samples).as_dict()
        rows = [dict(norm="l2", epsilon=1.0, accuracy_percent=50.0, ci95=1.0, tasks=9, steps=steps, restarts=1)]
        trained = config | dict(iteration=iterations)
        (tmp_path / name).mkdir()
        (tmp_path / name / "attack.json").write_text(json.dumps(dict(rows=rows, config=config, trained_with=trained)))
    runs = find([tmp_path])
    labels = lambda runs: [model.label for model in table_figures.models(runs)]
    names = ["MAML", "MAML", "Meta-dropout, 9 iterations, c", "Meta-dropout, 9 iterations, d"]
    names += [f"Meta-dropout, 8 iterations, {n} noise samples" for n in (5, 30)]
    assert labels(runs) == names  # MAML's two differ in steps: two panels
    assert labels(runs[1:3]) == ["MAML", "Meta-dropout"]


def test_an_attack_that_another_contains_is_not_drawn_twice(tmp_path):
    """With 30 noise samples at one radius, beside 5 at two: the curves lie on each other."""
    for name, samples, radii, seed in (("a", 5, (1, 2), 0), ("b", 30, (1,), 0), ("c", 30, (1,), 1), ("d", 30, (3,), 0)):
        config = Config(dataset="omniglot", way=5, n_test_mc_samp=samples, seed=seed).as_dict()
        rows = [
            dict(norm="l2", epsilon=r, accuracy_percent=50.0, ci95=1.0, tasks=9, steps=20, restarts=1) for r in radii
        ]
        (tmp_path / name).mkdir()
        about = dict(rows=rows, config=config, trained_with=config | dict(iteration=9))
        (tmp_path / name / "attack.json").write_text(json.dumps(about))
    drawn = [run.directory.name for run in table_figures.not_in_others(find([tmp_path]))]
    assert drawn == ["a", "c", "d"]  # c is another seed, d another radius


def test_runs_of_another_length_or_test_are_no_seeds_of_a_setting(tmp_path):
    """Their mean would be one of different things."""
    for name, seed, test in (("a", 0, {}), ("b", 1, {}), ("few steps", 2, dict(n_steps=1)), ("copy of a", 0, {})):
        finished(tmp_path / name, np.full(4, 0.5 + seed / 10), seed=seed, test=test)
    finished(tmp_path / "unfinished", np.full(4, 0.1), seed=3)
    path = tmp_path / "unfinished" / "meta_test.json"
    test = json.loads(path.read_text())
    path.write_text(json.dumps(test | dict(trained_with=test["trained_with"] | dict(iteration=7))))
    runs = find([tmp_path])
    (dot,) = table_figures.final(usual.as_usual(runs), seeds.of_settings(runs))["metadrop"]
    assert sorted(dot.seeds) == [50, 60]
    assert sorted(map(sorted, seeds.of_settings(runs))) == [[10], [50, 60], [70]]


def test_an_attack_is_of_the_weights_that_were_attacked(tmp_path):
    """The run may have been trained further and tested since. Folders of one name are told apart."""
    for place, reached in (("x/maml", 40), ("y/maml", 40), ("z/maml", 400)):
        attacked(tmp_path / place, 90.0, maml=True)
        for file, iteration in (("attack.json", reached), ("meta_test.json", 400)):
            content = json.loads((tmp_path / place / file).read_text())
            content["trained_with"]["iteration"] = iteration
            (tmp_path / place / file).write_text(json.dumps(content))
    runs = find([tmp_path])
    labels = [model.label for model in table_figures.models(runs)]
    assert labels[0] == "MAML, 400 iterations"
    assert [*map(str.split, labels[1:])] == [f"MAML, 40 iterations, {tmp_path / name}/maml".split() for name in "xy"]
    assert {row["iterations"] for row in tables.robustness_rows(runs)} == {40, 400}
