"""Numbers that pages ask for, and how pages are filled."""

import json

import numpy as np
import pytest

from tests.helpers.savedirs import attacked, finished
from tf_metadrop import UsageError
from tf_metadrop.analysis import numbers, pages
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
    rows = found.published_rows("mimgnet")
    assert {row["task"] for row in rows} == {"mimgnet 5-way 1-shot", "mimgnet 5-way 5-shot"}


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
