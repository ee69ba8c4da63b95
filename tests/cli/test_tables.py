"""metadrop tables: the tables beside the published numbers, the page, and files that are broken."""

import csv
import re

import numpy as np
import pytest

from tests.helpers.pictures import assert_shows, curves_of, recorded_figures
from tests.helpers.savedirs import LOG, attacked, finished
from tf_metadrop.cli import tables
from tf_metadrop.figures import style
from tf_metadrop.runs import record


def test_table_sets_runs_beside_the_published_numbers(tmp_path, capsys, monkeypatch):
    figures = recorded_figures(monkeypatch)
    attacked(tmp_path / "runs" / "a", 96.5, second_order="tf1", seed=3)
    attacked(tmp_path / "runs" / "b", 95.25, maml=True)
    attacked(tmp_path / "runs" / "c", 94.0, attack=False, noise_type="fixed_gaussian", noise_variant="report")
    assert tables.main(["metadrop tables", str(tmp_path / "runs"), f"--output={tmp_path / 'out'}"]) == 0
    printed = capsys.readouterr().out
    page = (tmp_path / "out" / "tables.md").read_text()
    assert page.startswith(printed.strip()) and page.count("](robustness_omniglot_20way1shot.png)") == 1
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if line.startswith("|")]
    metadrop = next(row for row in cells if row[:2] == ["omniglot 20-way 1-shot", "metadrop"])
    assert metadrop[2:5] == ["96.63 ± 0.13", "96.24 ± 0.14", "95.75 ± 0.15; 96.74 (noise table)"]
    assert metadrop[5:11] == ["96.50 ± 0.12", "tf1", "0.1", "3", "60000", "1000"]
    report = next(row for row in cells if row[1] == "fixed_gaussian_report")
    assert report[2:6] == ["95.44", "", "96.41", "94.00 ± 0.12"]
    assert ["mimgnet 5-way 5-shot", "maml", "64.55 ± 0.52", "65.70 ± 0.52", "64.51 ± 0.52"] in [r[:5] for r in cells]
    with open(tmp_path / "out" / "robustness.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    one = next(row for row in rows if (row["method"], row["norm"], row["radius"]) == ("maml", "linf", "0.02"))
    assert float(one["paper"]) > 50 and one["ours"] == "80.00 ± 0.50" and len(rows) == 8
    name = "robustness_omniglot_20way1shot.png"
    check_attacks(figures[name])
    size = tuple(round(200 * inches) for inches in figures[name].get_size_inches())
    assert_shows(tmp_path / "out" / name, [style.BLUE, style.VERMILLION], size)
    assert len((tmp_path / "out" / "accuracy.csv").read_text().splitlines()) >= 15


def check_attacks(figure):
    """A panel for each norm: the two attacked runs, and the paper's curves in the colours of the same methods."""
    assert figure.get_suptitle() == "omniglot 20-way 1-shot" and len(figure.axes) == 2
    for axes, radius in zip(figure.axes, (1.0, 0.02), strict=True):
        found = curves_of(axes)
        for method in ("maml", "metadrop"):
            np.testing.assert_allclose(found[method], [[0, 90], [radius, 80]])
        colours = {line.get_label(): line.get_color() for line in axes.lines}
        assert (colours["paper: maml"], colours["paper: metadrop"]) == (style.BLUE, style.VERMILLION)
        assert len(found["paper: maml"]) > 3 and all(50 < y <= 100 for _, y in found["paper: maml"][:2])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:2] == ["maml", "metadrop"] and all(label.startswith("paper: ") for label in labels[2:])


@pytest.mark.parametrize(
    ("pattern", "content"),
    [("holds no meta_test.json", None), ("is not what --mode=meta_test writes", "{"), ("is not what", '{"config": 3}')],
)
def test_table_of_nothing(pattern, content, tmp_path, capsys):
    if content:
        (tmp_path / "meta_test.json").write_text(content)
    assert tables.main(["metadrop tables", str(tmp_path)]) == 2
    assert pattern in capsys.readouterr().err
    assert tables.main(["metadrop tables", str(tmp_path / "nowhere")]) == 2
    assert "nowhere is no folder" in capsys.readouterr().err


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
    assert tables.main(["metadrop tables", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert re.search(pattern, err) and err.count("\n") == 1


def test_the_page_has_preface_tables_and_figures(tmp_path, capsys, monkeypatch):
    figures, runs, out = recorded_figures(monkeypatch), tmp_path / "runs", tmp_path / "out"
    finished(runs / "maml", np.full(4, 0.5), maml=True)
    finished(runs / "drop", np.full(4, 0.75))
    finished(runs / "additive", np.full(4, 0.75), noise_type="additive")
    (runs / "lr").mkdir()
    (runs / "lr" / "results.csv").write_text(
        "noise_type,inner_lr,val_accuracy,val_interval,test_accuracy,test_interval,savedir\n"
        "maml,0.1,90,1,91.5,1.25,a\nmaml,0.2,92,1,89,1,b\nadditive,0.2,80,1,79,1,c\n"
    )
    record.Record(runs / "drop", 0, "digest").write(60001, 12_345_678_901)
    (tmp_path / "learned.md").write_text("# Learned\n")
    pages = [f"--output={out}", "--page=README.md", f"--preface={tmp_path / 'learned.md'}"]
    assert tables.main(["metadrop tables", str(runs), *pages]) == 0
    page = (out / "README.md").read_text()
    assert page.startswith("# Learned\n") and capsys.readouterr().out.strip() in page
    swept = page.split("## Sweep lr")[1]
    assert re.search(r"\| maml +\| 0.1 +\| 90.00 ± 1.00 +\| 91.50 ± 1.25 +\| +\|", swept)
    assert re.findall(r"\| (\w+) +\| (\S+) +\|.*\| yes", swept) == [("maml", "0.2"), ("additive", "0.2")]
    drawn = {"gradients": ["maml, exact", "metadrop, exact"], "methods": ["additive", "maml", "metadrop"]}
    for what, expected in drawn.items():
        name = f"learning_omniglot_5way1shot_{what}.png"
        assert f"({name})" in page
        check_learning(figures[name], expected)
        assert_shows(out / name, style.COLOURS[: len(expected)])
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
    assert tables.main(["metadrop tables", str(runs), f"--preface={tmp_path / 'none.md'}"]) == 2
    assert "none.md cannot be read" in capsys.readouterr().err


def check_learning(figure, labels):
    """The accuracies of savedirs.LOG over iterations and over hours, a line for each of these."""
    iterations, hours = figure.axes
    ours = {label: points for label, points in curves_of(iterations).items() if len(points) == 3}  # not the published
    assert sorted(ours) == labels
    for points in ours.values():
        np.testing.assert_allclose(points, [[0, 70], [50, 75], [100, 80]])
    assert (iterations.get_xlabel(), hours.get_xlabel()) == ("meta-iteration", "hours")
    assert iterations.get_ylabel() == "accuracy on validation classes (%)"
    curves = [line.get_xydata() for line in hours.lines if len(line.get_xydata()) == 3]
    assert len(curves) == len(labels)
    for points in curves:
        np.testing.assert_allclose(points, [[0.9 / 3600, 70], [50.9 / 3600, 75], [100.9 / 3600, 80]])
