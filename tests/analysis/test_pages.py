"""Numbers that pages ask for, and how pages are filled."""

import json

import numpy as np
import pytest

from tests.helpers.runs import ROOT
from tests.helpers.savedirs import attacked, finished
from tf_metadrop import UsageError
from tf_metadrop.analysis import numbers, pages, theirs, timings
from tf_metadrop.runs.finished import find

BASE = np.array([0.5, 0.75, 1.0, 0.75])


@pytest.fixture
def made(tmp_path):
    """Numbers of four runs: two methods, two seeds; Meta-dropout is 5 and 7 points ahead."""
    for seed in (0, 1):
        finished(tmp_path / "task" / f"maml_seed{seed}", BASE - 0.01 * seed, seed=seed, maml=True)
        finished(tmp_path / "task" / f"drop_seed{seed}", BASE + 0.05 + 0.01 * seed, seed=seed)
    return numbers.Numbers(find([tmp_path]))


def test_numbers_are_means_over_seeds(made):
    assert made.has("task/maml", "task/drop") and not made.has("task/maml", "task/other")
    assert made.mean("task/drop") == "80.50" and made.by_seed("task/drop") == "80.00, 81.00"
    assert made.n_seeds("task/drop") == 2 and made.iterations("task/drop") == "60,000"
    of_tasks, of_seeds = 1.96 * 100 * BASE.std() / 2, 4.3027 * 0.5**0.5 / 2**0.5
    mean, half = made.accuracy("task/drop").split(" ± ")
    assert made.deviation("task") == f"{0.5**0.5:.2f}" and made.freedom("task") == 2
    assert mean == "80.50" and float(half) == pytest.approx(np.hypot(of_tasks, of_seeds), abs=0.01)


def test_a_difference_is_what_the_text_says_of_it(made):
    half = 4.3027 * 0.5**0.5  # of two models with two seeds; the tasks are as hard for both
    assert made.difference("task/drop", "task/maml", "+") == f"+6.00 ± {half:.2f}"
    assert made.difference("task/maml", "task/drop", "-") == f"-6.00 ± {half:.2f}"
    assert made.differences("task/drop", "task/maml") == "+5.00, +7.00"
    assert made.points("task/maml", "task/drop", "-") == f"6.00 ± {half:.2f}"
    assert made.difference("task/drop", "task/drop", "0").startswith("+0.00")
    for side in "-0":
        with pytest.raises(UsageError, match=f"a page says '{side}' of task/drop less task/maml, which is \\+6.00"):
            made.difference("task/drop", "task/maml", side)


@pytest.mark.parametrize("other", [{"seed": 1}, {"shot": 5}, {"way": 4}])
def test_models_that_were_tested_on_other_tasks_are_not_paired(other, tmp_path):
    finished(tmp_path / "task" / "maml", BASE, maml=True)
    finished(tmp_path / "task" / "drop", BASE, test=other.items())
    found = numbers.Numbers(find([tmp_path]))
    with pytest.raises(UsageError, match="tested on other tasks"):
        found.difference("task/drop", "task/maml")
    apart = 1.96 * 100 * BASE.std() / 2 * 2**0.5
    assert found.unpaired("task/drop", "task/maml") == f"+0.00 ± {apart:.2f}"
    with pytest.raises(UsageError, match="no folder is named task/none"):
        found.accuracy("task/none")
    with pytest.raises(UsageError, match="has no meta_val.csv"):
        found.accuracy("task/maml", "meta_val")


def test_published_numbers_and_attacks(tmp_path):
    attacked(tmp_path / "task" / "drop_seed0", 96.5, second_order="tf1")
    found = numbers.Numbers(find([tmp_path]))
    assert found.published("task/drop", "authors' repository") == "96.24"
    assert (
        found.attack("task/drop", "l2", 1.0) == "80.0 ± 0.5"
        and float(found.paper_attack("task/drop", "linf", 0.02)) > 50
    )
    assert found.unattacked("task/drop") == "96.50 ± 0.12"
    with pytest.raises(UsageError, match="was not attacked with l1 3.0"):
        found.attack("task/drop", "l1", 3.0)
    paper = float(found.paper_attack("task/drop", "linf", 0.02))
    assert found.from_paper("task/drop", "linf") == pytest.approx(max(abs(paper - 80), abs(96.63 - 90)))
    with pytest.raises(UsageError, match="no radius of l1 in common"):
        found.from_paper("task/drop", "l1")


def test_numbers_of_a_training_and_of_errors(made):
    assert made.at("task/maml", 50, seed=1) == pytest.approx(75.0) and made.best_at("task/drop") == "100 and 100"
    assert made.avoided("task/drop", "task/maml") == f"{100 * (1 - 19.5 / 25.5):.0f}"
    for iteration, seed in ((51, 0), (50, 2)):
        with pytest.raises(UsageError, match=f"with seed {seed} was not evaluated at iteration {iteration}"):
            made.at("task/maml", iteration, seed)


def test_what_others_published_is_read_from_their_tables():
    task = "omniglot", 20, 1
    assert theirs.lead(task, "metadrop", "maml") == "+1.40 (paper), +1.75 (authors' repository), +2.15 (report)"
    assert theirs.lead(task, "metadrop", "fixed_gaussian") == "+1.19 (paper), +0.33 (report)"  # 96.74 less 96.41
    assert {row["task"] for row in theirs.rows("mimgnet")} == {"mimgnet 5-way 1-shot", "mimgnet 5-way 5-shot"}
    scaled = [("metadrop", "metadrop"), ("adv_e1", "adv_e20")]
    near, far = theirs.apart(task, ("l2", "l1"), 20.0, *scaled)
    curves = [theirs.curve(task, norm, "metadrop") for norm in ("l2", "l1")]
    assert near == max(abs(curves[0][r] - curves[1][20 * r]) for r in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)) and far > 10
    with pytest.raises(UsageError, match="nobody published"):
        theirs.lead(task, "metadrop", "additive")
    assert theirs.curve(("omniglot", 5, 1), "l2", "maml") == {}
    with pytest.raises(UsageError, match="has no curves"):
        theirs.apart(task, ("l2", "l1"), 20.0, ("maml", "additive"))


def test_one_number_of_a_table():
    rows = [dict(method="maml", ours="93.9 ± 0.2"), dict(method="metadrop", ours=""), dict(method="metadrop", ours="1")]
    assert numbers.number(rows, "ours", method="maml") == 93.9
    assert numbers.cell(rows, "ours", method="maml") == "93.9 ± 0.2"
    for where, words in ((dict(method="additive"), "0 rows"), (dict(method="metadrop"), "2 rows")):
        with pytest.raises(UsageError, match=words):
            numbers.number(rows, "ours", **where)
    with pytest.raises(UsageError, match="ours is ''"):
        numbers.number(rows[:2], "ours", method="metadrop")


def test_timings_are_those_of_the_benchmarks(tmp_path):
    rows = timings.rows(ROOT / "benchmarks" / "RESULTS.json")
    chosen = dict(task="mimgnet 5-way 1-shot", method="MAML", gradient="first", precision="float32")
    assert 0.01 < numbers.number(rows, "s", **chosen) < 10
    for content in ("{", "{}", '{"tables": [{"title": "Meta-training step", "rows": [{"flags": "a"}]}]}'):
        path = tmp_path / "RESULTS.json"
        path.write_text(content)
        with pytest.raises(UsageError, match="give its RESULTS.json"):
            timings.rows(path)


def test_a_table_has_the_rows_and_columns_that_are_asked_for():
    rows = [dict(task="omniglot 5-way 1-shot", method=m, ours=n) for m, n in (("maml", "1"), ("metadrop", "2"))]
    lines = numbers.table(rows, "task", "method=Method", "ours=Accuracy", method="metadrop").splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[0] == ["task", "Method", "Accuracy"] and cells[2:] == [["Omniglot 5-way 1-shot", "Meta-dropout", "2"]]
    assert len(numbers.table(rows, "ours", method=["maml", "metadrop"]).splitlines()) == 4
    with pytest.raises(UsageError, match="no row has"):
        numbers.table(rows, method="additive")


def test_prose_is_filled_and_nothing_else_is():
    word = "word " * 30
    kept = f"# {word}\n\n| {word} |\n|---|\n\n```\n{word}\n\n{word}\n```\n\n![{word}](x.png)\n"
    assert pages.wrapped(kept) == kept
    text = f"One\nsentence.\n\n- item\n  of two\n- {word}\n\n2. {word}\n"
    lines = pages.wrapped(text).splitlines()
    assert lines[:4] == ["One sentence.", "", "- item of two", f"- {' '.join(['word'] * 23)}"]
    assert lines[4].startswith("  word") and lines[6].startswith("2. word") and lines[7].startswith("   word")
    assert pages.wrapped(pages.wrapped(text)) == pages.wrapped(text) and max(map(len, lines)) <= pages.WIDTH


def test_runs_of_other_settings_do_not_share_a_name(tmp_path):
    for seed, rate in ((0, 0.1), (1, 0.2)):
        finished(tmp_path / "task" / f"maml_seed{seed}", BASE, seed=seed, maml=True, inner_lr=rate)
    with pytest.raises(UsageError, match="inner_lr"):
        numbers.Numbers(find([tmp_path])).mean("task/maml")
    path = tmp_path / "task" / "maml_seed1" / "meta_test.json"
    made = json.loads(path.read_text())
    made["trained_with"]["inner_lr"] = made["config"]["inner_lr"] = 0.1
    path.write_text(json.dumps(made))
    assert numbers.Numbers(find([tmp_path])).n_seeds("task/maml") == 2
