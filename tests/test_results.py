"""The published results: how they are compared, and the page about them."""

import csv
import json
import pathlib
import re

import numpy as np
import pytest

from benchmarks import mimgnet_images
from tf_metadrop import Config
from tf_metadrop.analysis import learning_table, paired, table_figures, tables
from tf_metadrop.data import load_split
from tf_metadrop.figures import learning, style
from tf_metadrop.runs import record

ROOT = pathlib.Path(__file__).parent.parent
LOG = "way: 5\nmetabatch: 4\n\n" + "".join(
    f"\nIter {i} start\nmeta_train: episode {4 * i}, ({i}.5 secs), cent 0.5, acc 0.8\n"
    f"meta_val  : episode {4 * i}, ({i}.9 secs), cent 0.4, acc {0.7 + i / 1000}\n"
    for i in (0, 50, 100)
)


def finished(folder, accuracies, seed=0, test=(), **settings):
    """A savedir with a tested run in it; accuracies in [0, 1]."""
    folder.mkdir(parents=True)
    trained = Config(dataset="omniglot", way=5, savedir=str(folder), seed=seed, **settings).as_dict()
    config = {**trained, "metabatch": 1, "seed": 0, **dict(test)}
    result = dict(accuracy=100 * np.mean(accuracies), interval=1.0, episodes=len(accuracies), seed=0)
    (folder / "meta_test.json").write_text(json.dumps(result | dict(config=config, trained_with=trained)))
    (folder / "meta_test.csv").write_text("cent,accuracy\n" + "".join(f"0.1,{a:.6f}\n" for a in accuracies))
    (folder / "meta_train.log").write_text(LOG)


def test_an_unfinished_run_is_shown_with_what_it_has_done_and_compared_with_none(tmp_path):
    finished(tmp_path / "maml", np.full(4, 0.5), maml=True)
    finished(tmp_path / "drop", np.full(4, 0.75))
    record.Record(tmp_path / "drop", 0).write(31, 1)
    runs = tables.find([tmp_path])
    found = tables.accuracy_rows(runs, tables.MAIN.__contains__)
    assert {row["method"]: row["iterations"] for row in found if row["ours"]} == {"maml": 60000, "metadrop": 30}
    assert paired.rows(runs) == []
    tested = tmp_path / "drop" / "meta_test.json"  # says itself of which iteration its weights were
    result = json.loads(tested.read_text())
    tested.write_text(json.dumps(result | dict(trained_with=result["trained_with"] | dict(iteration=20))))
    assert tables.load(tmp_path / "drop").iterations == 20


def test_curves_on_other_classes_have_a_figure_of_their_own(tmp_path):
    finished(tmp_path / "val", np.full(4, 0.5))
    finished(tmp_path / "test", np.full(4, 0.5), eval_split="test")
    assert table_figures.draw(tables.find([tmp_path]), {}, tmp_path).keys() == {"omniglot 5-way 1-shot, gradients"}
    (tmp_path / "test" / "meta_train.log").write_text(LOG.replace("meta_val", "meta_test"))
    titles = [*table_figures.draw(tables.find([tmp_path]), {}, tmp_path)]
    assert titles == [f"omniglot 5-way 1-shot, gradients{where}" for where in ("", ", evaluated on test classes")]


def test_noise_types_stand_beside_runs_by_their_own_gradient(tmp_path):
    for gradient in ("exact", "tf1"):
        finished(tmp_path / gradient, np.full(4, 0.5), second_order=gradient)
        finished(tmp_path / f"{gradient} 20", np.full(4, 0.5), second_order=gradient, test={"way": 20}.items())
        finished(tmp_path / f"{gradient} 10", np.full(4, 0.5), second_order=gradient, test={"way": 10}.items())
    finished(tmp_path / "additive", np.full(4, 0.5), second_order="exact", noise_type="additive")
    rows = [row for row in tables.tables(tables.find([tmp_path]))["Noise types"] if row["ours"]]
    of_task = lambda way: [(row["method"], row["gradient"]) for row in rows if f" {way}-way" in row["task"]]
    assert of_task(5) == [("additive", "exact"), ("metadrop", "exact")]
    assert of_task(20) == [("metadrop", "exact"), ("metadrop", "tf1")]  # beside the published noise types
    assert of_task(10) == []


def test_a_run_is_shown_as_its_test_was_made_though_attacked_in_another_state(tmp_path):
    finished(tmp_path / "run", np.full(4, 0.5), inner_lr=0.2)
    config = Config(dataset="omniglot", way=5, inner_lr=0.4).as_dict()
    attacked = dict(rows=[], config=config, trained_with=config | dict(iteration=7))
    (tmp_path / "run" / "attack.json").write_text(json.dumps(attacked))
    (run,) = tables.find([tmp_path])
    assert run.config.inner_lr == run.trained_with["inner_lr"] == 0.2 and run.iterations == 60000


@pytest.mark.parametrize(
    ("name", "broken", "pattern"),
    [
        ("meta_test.json", lambda made: made.replace('"accuracy"', '"precise"'), "meta_test.json is not what --mode"),
        ("meta_test.json", lambda made: made.replace('"interval": 1.0', '"interval": "1"'), "meta_test.json is not"),
        ("attack.json", lambda _: '{"rows": [{}], "config": {}, "trained_with": {}}', "attack.json is not what --mode"),
        ("run.json", lambda _: '{"iterations": 3}', "run.json is not what --mode=meta_train writes"),
        ("meta_train.log", lambda _: LOG.replace("cent 0.5", "cent x"), "meta_train.log is not what --mode=meta_train"),
        ("meta_train.log", lambda _: LOG.replace("metabatch: 4", "metabatch: 0"), "meta_train.log is not what"),
    ],
)
def test_tables_of_broken_files(name, broken, pattern, tmp_path, capsys):
    finished(tmp_path / "run", np.full(4, 0.5))
    path = tmp_path / "run" / name
    path.write_text(broken(path.read_text() if path.exists() else ""))
    assert tables.main([str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert re.search(pattern, err) and err.count("\n") == 1


def test_of_several_learning_rates_the_one_of_most_runs_is_the_method_s(tmp_path):
    for name, seed, rate in (("a", 0, 0.05), ("b", 1, 0.05), ("c", 0, 0.1)):
        finished(tmp_path / name, np.full(4, 0.5), seed=seed, inner_lr=rate)
    runs = tables.find([tmp_path])
    names = lambda runs: [curve.colour for curve in table_figures.evaluations(runs, "meta_val", False)]
    assert names(runs) == ["metadrop", "metadrop (inner_lr 0.1)", "metadrop"]
    assert names(runs[1:]) == ["metadrop (inner_lr 0.1)", "metadrop (inner_lr 0.05)"] and names(runs[2:]) == [
        "metadrop"
    ]


@pytest.mark.parametrize("key", ["data_dir", "episodes"])
def test_runs_on_other_images_or_episodes_than_most_are_lines_of_their_own(key, tmp_path):
    usual, other = Config.__dataclass_fields__[key].default, "shared_classes"  # a folder may be called so too
    for name, seed, value in (("a", 0, usual), ("b", 1, usual), ("c", 0, other)):
        finished(tmp_path / name, np.full(4, 0.5), seed=seed, **{key: value})
    runs = tables.find([tmp_path])
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
    runs = tables.find([tmp_path])
    for some in (runs, runs[2:]):
        assert {curve.label for curve in table_figures.evaluations(some, "meta_val", False)} == {"metadrop"}
    assert not learning_table.told_apart(runs[0], runs[2])


def test_attacked_runs_are_told_apart(tmp_path):
    attacked = [("a", 20, True, 9), ("b", 1, True, 9), ("c", 20, False, 9), ("d", 20, False, 9), ("e", 20, False, 8)]
    for name, steps, maml, iterations in attacked:
        config = Config(dataset="omniglot", way=5, maml=maml).as_dict()
        rows = [dict(norm="l2", epsilon=1.0, accuracy_percent=50.0, ci95=1.0, tasks=9, steps=steps, restarts=1)]
        trained = config | dict(iteration=iterations)
        (tmp_path / name).mkdir()
        (tmp_path / name / "attack.json").write_text(json.dumps(dict(rows=rows, config=config, trained_with=trained)))
    runs = tables.find([tmp_path])
    names = ["maml (20 steps)", "maml (1 step)", "metadrop (c)", "metadrop (d)", "metadrop (8 its, 20 steps)"]
    assert [*table_figures.labels(runs)] == names and [*table_figures.labels(runs[1:3])] == ["maml", "metadrop"]


def test_no_two_methods_look_the_same():
    methods = [f"method {number}" for number in range(20)]
    looks = style.looks_of(methods)
    assert [*looks] == methods and len({(look["color"], look["marker"]) for look in looks.values()}) == 20
    assert style.colours_of(methods[:7]) == dict(zip(methods, style.COLOURS, strict=False))
    assert all(len(set(style.colours_of(methods[:n]).values())) == n for n in (1, 8, 20))
    labels = ["additive", "metadrop (1 step)", "maml", "metadrop (20 steps)", "maml_vib"]
    assert style.compared_first(labels) == [labels[i] for i in (2, 1, 3, 0, 4)]
    labels = ["maml", "maml (inner_lr 0.05)", "metadrop (inner_lr 0.1)", "metadrop"]
    assert style.compared_first(labels) == [labels[i] for i in (0, 3, 1, 2)]


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


def test_the_page_has_preface_tables_and_figures(tmp_path, capsys):
    runs, out = tmp_path / "runs", tmp_path / "out"
    finished(runs / "maml", np.full(4, 0.5), maml=True)
    finished(runs / "drop", np.full(4, 0.75))
    finished(runs / "additive", np.full(4, 0.75), noise_type="additive")
    (runs / "lr").mkdir()
    (runs / "lr" / "results.csv").write_text(
        "noise_type,inner_lr,val_accuracy,val_interval,test_accuracy,test_interval,savedir\n"
        "maml,0.1,90,1,91.5,1.25,a\nmaml,0.2,92,1,89,1,b\nadditive,0.2,80,1,79,1,c\n"
    )
    record.Record(runs / "drop", 0).write(60001, 12_345_678_901)
    (tmp_path / "learned.md").write_text("# Learned\n")
    pages = [f"--output={out}", "--page=README.md", f"--preface={tmp_path / 'learned.md'}"]
    assert tables.main([str(runs), *pages]) == 0
    page = (out / "README.md").read_text()
    assert page.startswith("# Learned\n") and capsys.readouterr().out.strip() in page
    swept = page.split("## Sweep lr")[1]
    assert re.search(r"\| maml +\| 0.1 +\| 90.00 ± 1.00 +\| 91.50 ± 1.25 +\| +\|", swept)
    assert re.findall(r"\| (\w+) +\| (\S+) +\|.*\| yes", swept) == [("maml", "0.2"), ("additive", "0.2")]
    for what in ("gradients", "methods"):
        name = f"learning_omniglot_5way1shot_{what}.png"
        assert f"({name})" in page and (out / name).stat().st_size > 10_000
    with open(out / "differences.csv", newline="") as file:
        assert [row["difference"] for row in csv.DictReader(file)] == ["+25.00 ± 0.00"] * 2
    with open(out / "cost.csv", newline="") as file:
        (cost,) = csv.DictReader(file)
    assert cost["iterations"] == "60001" and cost["method"] == "metadrop"
    assert (cost["GFLOP per iteration"], cost["TFLOP"]) == ("12.3", "741")
    with open(out / "learning.csv", newline="") as file:
        learned = {row["method"]: row for row in csv.DictReader(file)}["metadrop"]
    assert [learned[name] for name in ("half way", "end", "steepest fall", "level")] == ["75.00", "80.00", "0.00", "80"]
    assert learned["iterations"] == "100" and learned["classes"] == "validation"
    assert tables.main([str(runs), f"--preface={tmp_path / 'none.md'}"]) == 2
    assert "none.md cannot be used" in capsys.readouterr().err


def test_the_level_is_that_of_the_exact_and_the_tf1_gradient(tmp_path):
    for gradient, best in ("exact", 0.83), ("tf1", 0.805), ("first", 0.795):
        finished(tmp_path / gradient, np.full(4, 0.75), second_order=gradient)
        (tmp_path / gradient / "meta_train.log").write_text(LOG.rsplit("acc ", 1)[0] + f"acc {best}\n")
    found = {row["gradient"]: row for row in learning_table.rows(tables.find([tmp_path]))}
    assert {row["level"] for row in found.values()} == {80}
    assert [found[g]["iterations"] for g in ("exact", "tf1", "first")] == [100, 100, "not"]
    for accuracy, level in ((0.29, 29), (0.57, 57), (0.5799, 57)):
        (tmp_path / "first" / "meta_train.log").write_text(
            LOG.rsplit("acc ", 1)[0].replace("acc 0.7", "acc 0.1") + f"acc {accuracy}\n"
        )
        assert learning_table.rows(tables.find([tmp_path / "first"]))[0]["level"] == level
    (tmp_path / "first" / "meta_train.log").write_text(LOG.rsplit("acc ", 1)[0] + "acc 0.795\n")
    (alone,) = learning_table.rows(tables.find([tmp_path / "first"]))
    assert (alone["level"], alone["iterations"]) == (79, 100)
    finished(tmp_path / "other images", np.full(4, 0.75), data_dir="other")  # no repetition of the others
    (tmp_path / "other images" / "meta_train.log").write_text(LOG.rsplit("\nIter", 1)[0])  # its best is 75 %
    levels = {row["run"].rsplit("/")[-1]: row["level"] for row in learning_table.rows(tables.find([tmp_path]))}
    assert levels == {"exact": 80, "tf1": 80, "first": 80, "other images": 75}


def test_what_was_lost_is_not_in_the_record(tmp_path):
    first = record.Record(tmp_path, 0)
    first.write(10, 1)
    second = record.Record(tmp_path, 10)
    second.write(20, 1)
    second.write(30, 1)
    found = record.read(tmp_path)
    assert [(part["first"], part["iterations"]) for part in found["parts"]] == [(0, 10), (10, 20)]
    assert found["iterations"] == 30 and found["seconds"] == sum(part["seconds"] for part in found["parts"])
    record.Record(tmp_path, 0).write(5, 1)  # a run that starts anew
    assert [part["iterations"] for part in record.read(tmp_path)["parts"]] == [5]


def test_generated_images_of_mimgnet(tmp_path):
    command = [str(tmp_path), "--instances=3"]
    assert mimgnet_images.main(command) == 0
    images = load_split("mimgnet", str(tmp_path), "train")
    assert images.shape == (64, 3, 84, 84, 3)
    np.testing.assert_array_equal(images[5], mimgnet_images.texture("train", 5, 3))
    assert not np.array_equal(images[5], mimgnet_images.texture("test", 5, 3))
    assert mimgnet_images.main(command) == 2  # nothing is overwritten


def test_the_readme_s_table_has_the_accuracies_of_the_results():
    with open(ROOT / "results" / "accuracy.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] in style.COMPARED]
    kinds = {}  # {(task, gradient, inside release/, iterations): {method: rows}}
    for row in rows:
        if not row["ours"] or re.search("_lr|_shared_classes|_random_split", row["run"]):  # published only, or a check
            continue
        kind = row["task"].removeprefix("omniglot "), row["gradient"], "release/" in row["run"], row["iterations"]
        kinds.setdefault(kind, {}).setdefault(row["method"], []).append(row)
    lines = (ROOT / "README.md").read_text().splitlines()
    for (task, gradient, release, iterations), found in kinds.items():
        ours = [", ".join(row["ours"].split()[0] for row in found.get(m, [])) for m in style.COMPARED]
        name = f"{gradient}, as released" if release else gradient
        assert f"| {' | '.join([task, name, f'{int(iterations):,}', *ours])} |" in lines
    of_method = {row["method"]: row for row in rows if row["task"] == "omniglot 20-way 1-shot"}
    for source, iterations in ("paper", "40,000"), ("authors' repository", "60,000"), ("report", "40,000"):
        published = [of_method[method][source].split()[0] for method in style.COMPARED]
        assert f"| {' | '.join(['20-way 1-shot', f'published: {source}', iterations, *published])} |" in lines
