"""metadrop tables: the tables beside the published numbers, the page, and files that are broken."""

import csv
import re

import numpy as np
import pytest

from tests.helpers.pictures import assert_shows, curves_of, recorded_figures
from tests.helpers.savedirs import LOG, attacked, finished
from tf_metadrop.cli import tables
from tf_metadrop.figures import layout, style
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
    size = tuple(int(layout.DOTS * inches) for inches in figures[name].get_size_inches())
    assert_shows(tmp_path / "out" / name, [style.BLUE, style.VERMILLION], size)
    assert len((tmp_path / "out" / "accuracy.csv").read_text().splitlines()) >= 15


def check_attacks(figure):
    """A panel for each norm: the two attacked runs, and the paper's curves in paler colours of the same methods."""
    assert figure.get_suptitle() == "Omniglot 20-way 1-shot: accuracy under attack" and len(figure.axes) == 2
    for axes, radius in zip(figure.axes, (1.0, 0.02), strict=True):
        found = curves_of(axes)
        assert set(found) == {"MAML", "Meta-dropout", "MAML, paper", "Meta-dropout, paper"}
        for method in ("MAML", "Meta-dropout"):
            np.testing.assert_allclose(found[method], [[0, 90], [radius, 80]])
        colours = {line.get_label(): line.get_color() for line in axes.lines}
        pale = style.pale(style.BLUE), style.pale(style.VERMILLION)
        assert (colours["MAML, paper"], colours["Meta-dropout, paper"]) == pale
        assert len(found["MAML, paper"]) > 3 and all(50 < y <= 100 for _, y in found["MAML, paper"][:2])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["MAML", "Meta-dropout", "MAML, paper", "Meta-dropout, paper"]


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
    assert "nowhere is not a folder" in capsys.readouterr().err


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


def test_the_page_has_tables_and_figures(tmp_path, capsys, monkeypatch):
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
    assert tables.main(["metadrop tables", str(runs), f"--output={out}"]) == 0
    page = (out / "tables.md").read_text()
    assert capsys.readouterr().out.strip() in page
    swept = page.split("## Sweep lr")[1]
    assert re.search(r"\| maml +\| 0.1 +\| 90.00 ± 1.00 +\| 91.50 ± 1.25 +\| +\|", swept)
    assert re.findall(r"\| (\w+) +\| (\S+) +\|.*\| yes", swept) == [("maml", "0.2"), ("additive", "0.2")]
    check_learning(figures["learning_omniglot_5way1shot_gradients.png"], ["MAML", "Meta-dropout"], ["exact"])
    check_learning(
        figures["learning_omniglot_5way1shot_methods.png"], ["Meta-dropout", "Additive"], ["MAML", "the method"]
    )
    for what, colours in (("gradients", [style.BLUE, style.VERMILLION]), ("methods", [style.VERMILLION, style.BROWN])):
        assert f"(learning_omniglot_5way1shot_{what}.png)" in page
        assert_shows(out / f"learning_omniglot_5way1shot_{what}.png", colours)
    assert "(accuracy_omniglot_5way1shot_methods.png)" in page
    means = [
        bar.lines[0].get_xdata()[0] for bar in figures["accuracy_omniglot_5way1shot_methods.png"].axes[0].containers
    ]
    assert means == [50, 75, 75]
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


def test_pages_are_made_from_templates(tmp_path, capsys):
    runs, out, templates, readme = (tmp_path / name for name in ("runs", "out", "pages", "README.md"))
    finished(runs / "drop_seed0", np.full(4, 0.75))
    templates.mkdir()
    (templates / "study.md.jinja").write_text("# Study\n\n{% include '_part.md.jinja' %}\n")
    (templates / "_part.md.jinja").write_text("It has {{ mean('runs/' ~ (argument or 'drop')) }} %.\n")
    before, after = "Of ours\n\n<!-- part part: metadrop tables -->\n", "<!-- end -->\nand more\n"
    readme.write_text(f"{before}old\n{after}")
    command = ["metadrop tables", str(runs), f"--output={out}", f"--pages={templates}", f"--fill={readme}"]
    assert tables.main(command) == 0 and capsys.readouterr().out == ""
    assert (out / "study.md").read_text() == "# Study\n\nIt has 75.00 %.\n"
    assert readme.read_text() == f"{before}It has 75.00 %.\n{after}"
    assert {path.name for path in out.glob("*.md")} == {"study.md"} and (out / "accuracy.csv").exists()

    def refused(*changed):
        assert tables.main([*command[:2], *changed]) == 2
        return capsys.readouterr().err

    assert "give --output" in refused(f"--pages={templates}") and "give --output" in refused(f"--fill={readme}")
    assert "none.md cannot be read" in refused(*command[2:4], f"--fill={tmp_path / 'none.md'}")
    readme.write_text(readme.read_text().replace("part part", "part part none"))  # the word after the name: no such run
    assert "no folder is named runs/none" in refused(*command[2:])
    bad = tmp_path / "RESULTS.json"
    bad.write_text("{}")
    assert "give its RESULTS.json" in refused(f"--timings={bad}") and not (out / "tables.md").exists()
    readme.write_text("no part")
    assert "has no line <!-- part" in refused(*command[2:])
    for broken, reason in (
        ("{{ mean('runs/maml') }}", "no folder is named runs/maml"),
        ("{{ mean('runs/drop' }}", "correct the template"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{% include '_gone.md.jinja' %}", "_gone.md.jinja is not there"),
    ):
        (templates / "study.md.jinja").write_text(broken)
        (out / "study.md").write_text("kept")
        assert reason in refused(*command[2:4]) and (out / "study.md").read_text() == "kept"


def check_learning(figure, methods, labels):
    """The accuracies of savedirs.LOG over iterations: a panel for each method, in it a line for each of the labels."""
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.texts[0].get_text() for axes in shown] == methods
    for axes in shown:
        found = curves_of(axes)
        assert list(found) == labels
        for points in found.values():
            np.testing.assert_allclose(points, [[0, 70], [50, 75], [100, 80]])
        assert axes.get_xlabel() == "Meta-iteration"
    assert figure.get_supylabel() == "Accuracy on validation classes (%)"
