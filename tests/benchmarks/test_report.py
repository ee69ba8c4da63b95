"""The suite's list, its resuming and its report, with measurements made up."""

import json
import subprocess

import pytest

from benchmarks import machine, report, step, suite
from tf_metadrop import Config, UsageError
from tf_metadrop.util import provenance as this_machine

ABOUT = dict(
    commit="0123456789ab",
    machine=dict(cpu="Test CPU", cores=2, memory_gib=8.0, gpu=[]),
    versions=dict(Python="3.12.1", TensorFlow="2.21.0", NumPy="2.4.0"),
)
MEASURED = dict(
    median_s=0.5, spread_s=0.012, first_call_s=6.54, peak_rss_mb=1234, examples_per_s=777.7, gflop=50.0,
    gflop_per_s=100.0, matmul_gflop_per_s=250.0, gap_s=0.001,
)  # fmt: skip


def rows(text):
    """Cells of every table row of a Markdown text."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def settings(flags):
    """The Config of a measurement's flags, which must all be Config's but --iters."""
    given = dict(flag.removeprefix("--").split("=") for flag in flags.split())
    assert given.pop("iters") == "5"
    return Config(**{name: type(getattr(Config(), name))(value) for name, value in given.items()})


def few(values=(1, 2, 4)):
    made = [dict(labels={"metabatch": value}, flags=f"--metabatch={value}") for value in values]
    return [dict(title="Scaling with metabatch", varied="metabatch", rows=made)]


def test_the_suite_has_every_setting():
    train, test, *scaling = suite.tables()
    found = [settings(row["flags"]) for row in train["rows"]]
    assert len({(c.dataset, c.way, c.shot, c.method, c.second_order) for c in found}) == 4 * 2 * 3
    assert sum(c.precision == "bfloat16" for c in found) == 4 * 2 and len(set(found)) == len(found) == 32
    assert all((c.mode, c.metabatch, c.query, c.n_steps) == ("meta_train", 4, 15, 5) for c in found)
    found = [settings(row["flags"]) for row in test["rows"]]
    assert sorted((c.method, c.n_test_mc_samp) for c in found) == [("maml", 1)] * 8 + [("metadrop", 30)] * 8
    assert all((c.mode, c.metabatch) == ("meta_test", 1) for c in found)
    assert [(table["varied"], len(table["rows"])) for table in scaling] == [
        ("metabatch", 4), ("n_steps", 4), ("way", 3), ("n_test_mc_samp", 4)
    ]  # fmt: skip
    for table in scaling:
        found = [settings(row["flags"]) for row in table["rows"]]
        assert [getattr(c, table["varied"]) for c in found] == [row["labels"][table["varied"]] for row in table["rows"]]
    assert scaling[0]["rows"][2]["flags"] == train["rows"][4]["flags"]  # metabatch 4: measured once


def test_report_shows_the_numbers_measured():
    tables = suite.tables()
    measurements = {row["flags"]: MEASURED for table in tables for row in table["rows"]}
    failed, missing = (tables[0]["rows"][i]["flags"] for i in (0, 2))
    measurements[failed] = dict(error="ended by SIGKILL | memory")
    del measurements[missing]
    results = {**ABOUT, "command": "C", "date": "D", "seed": 7, "tables": tables, "measurements": measurements}
    text = report.markdown(results, {})
    found = rows(text)
    task = "omniglot 20-way 1-shot"
    numbers = ["0.5", "0.012", "6.5", "1234", "777.7", "100.0", "40.0", "0.20"]
    assert [task, "MAML", "exact", "float32", "ended by SIGKILL / memory"] in [row[:5] for row in found]
    assert [task, "MAML", "tf1", "float32", "not measured yet"] in [row[:5] for row in found]
    assert [task, "MAML", "exact", "bfloat16", *numbers] in found
    assert [task, "MAML", "first", "float32", *numbers] in found
    assert [task, "Meta-dropout", "30", "bfloat16", *numbers] in found
    for row in (
        ["versions", "Python 3.12.1, TensorFlow 2.21.0, NumPy 2.4.0"],
        ["commit", ABOUT["commit"]],
        ["seed", "7"],
    ):
        assert row in found


def test_report_fits_straight_lines():
    assert report.line([1, 2, 4], [3, 5, 9]) == pytest.approx((2, 1, 1))
    assert report.line([0, 1, 2], [0, 1, 0]) == pytest.approx((0, 1 / 3, 0))
    assert report.line([1, 2, 4], [5, 5, 5]) == pytest.approx((0, 5, 1))
    measurements = {f"--metabatch={n}": {**MEASURED, "median_s": 0.1 + 0.2 * n, "peak_rss_mb": 1000} for n in (1, 2, 4)}
    text = report.section(few()[0], measurements)
    assert (
        "Time: 0.1 s + 0.2 s * metabatch, R^2 = 1.0000." in text
        and "from metabatch 1 to 4 it changes by +0.0 %" in text
    )
    assert "Too few" in report.section(few()[0], {"--metabatch=1": MEASURED})


def test_report_of_the_comparison():
    names = ("ours", "plain_tf", "plain_torch")
    found = {
        **ABOUT, "command": "C", "date": "D", "seed": 0, "median_s": dict(zip(names, (0.5, 1.0, 0.8), strict=True)),
        "ratio": dict(plain_tf=0.5, plain_torch=0.625), "peak_rss_mb": dict.fromkeys(names, 900),
        "first_call_s": dict.fromkeys(names, 3.0), "settings": Config(n_test_mc_samp=30).as_dict(),
        "largest_relative_difference": dict(plain_tf=1.5e-14, plain_torch=2e-13),
    }  # fmt: skip
    text = report.markdown({}, {"meta_test": found})
    assert ["plain_torch", "0.8", "0.625", "900", "3.0", "2.0e-13"] in rows(text)
    assert "meta-test step: omniglot 20-way 1-shot" in text and "30 noise samples" in text


def test_suite_goes_on_after_an_interruption(tmp_path):
    ran = []

    def runner(flags):
        ran.append(flags)
        if len(ran) == 3:
            raise KeyboardInterrupt
        return dict(error="out of memory") if len(ran) == 1 else dict(MEASURED)

    with pytest.raises(KeyboardInterrupt):
        suite.run(tmp_path, ABOUT, "C", few(), runner=runner)
    on_disk = json.loads((tmp_path / "RESULTS.json").read_text())["measurements"]
    assert [on_disk["--metabatch=1"]["error"], on_disk["--metabatch=2"]["median_s"]] == ["out of memory", 0.5]

    suite.run(tmp_path, ABOUT, "C", few(), runner=runner)
    assert ran[3:] == ["--metabatch=1", "--metabatch=4"]  # what failed is tried again, what was measured is not
    assert "R^2" in (tmp_path / "RESULTS.md").read_text()
    suite.run(tmp_path, ABOUT, "C", few(), runner=runner)
    assert len(ran) == 5
    suite.run(tmp_path, {**ABOUT, "commit": "another"}, "C", few(), runner=runner)
    assert len(ran) == 8
    for _ in range(2):  # a commit that does not say which source it was
        suite.run(tmp_path, {**ABOUT, "commit": "another-dirty"}, "C", few(), runner=runner)
    assert len(ran) == 14


def test_a_measurement_that_fails_is_its_error(tmp_path):
    assert "--way=1 is too small" in suite.run_one("--way=1")["error"]
    (tmp_path / "RESULTS.json").write_text("{")
    with pytest.raises(UsageError, match="RESULTS.json in the folder of --output was not written by this program"):
        suite.run(tmp_path, ABOUT, "C", few())
    with pytest.raises(UsageError, match="--output=.*RESULTS.json is not a folder"):
        machine.folder(str(tmp_path / "RESULTS.json"))


@pytest.mark.slow
def test_suite_from_the_command_line_outlives_a_failure(tmp_path, monkeypatch):
    rows = [dict(labels={"way": 1}, flags="--way=1"), dict(labels={"way": 0}, flags="--way=0")]
    monkeypatch.setattr(suite, "tables", lambda iters, seed: [dict(title=f"T {iters} {seed}", varied=None, rows=rows)])
    assert step.main(["step", "--suite", "--iters=2", "--seed=3", f"--output={tmp_path}/new"]) == 0
    text = (tmp_path / "new" / "RESULTS.md").read_text()
    assert f"python -m benchmarks.step --suite --iters=2 --seed=3 --output={tmp_path}/new" in text
    assert "T 2 3" in text and "--way=1 is too small" in text and "--way=0 is too small" in text


def test_results_do_not_make_the_commit_dirty(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], cwd=tmp_path, check=True)

    (tmp_path / "benchmarks").mkdir()
    results, source = tmp_path / "benchmarks" / "RESULTS.json", tmp_path / "source.py"
    results.write_text("{}")
    source.write_text("")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    monkeypatch.setattr(this_machine, "commit", lambda: "0123-dirty")
    results.write_text("{ }")
    assert machine.commit(results.parent) == "0123"
    source.write_text("changed")
    assert machine.commit(results.parent) == "0123-dirty"


def test_about_this_machine(tmp_path):
    found = machine.about(tmp_path)
    assert found["machine"]["cores"] >= 1 and found["commit"] and found["versions"]["TensorFlow"].startswith("2.")
    assert machine.peak_mb() > 10
    with pytest.raises(UsageError, match="--suite needs no_such_module"):
        machine.require("--suite", ["no_such_module"])
