"""The pages of results/ and the README's table against the runs in results/."""

import pathlib
import re

import pytest

from tests.helpers.runs import ROOT
from tf_metadrop.analysis import pages, sweep_table, tables, timings
from tf_metadrop.runs import finished

README = ROOT / "README.md"
FILLED = [
    path
    for path in (README, *sorted((ROOT / "docs").rglob("*.md")))
    if "metadrop tables -->" in path.read_text("utf-8")
]
LONGEST = {README: 150, ROOT / "results" / "README.md": 200}  # lines
ROWS = 20  # of a table
SETTINGS = {  # decimal numbers that templates may hold: rates, radii, step sizes, the error of reading a figure
    "0.01", "0.02", "0.05", "0.06", "0.08", "0.1", "0.2", "1.5", "2.5",
}  # fmt: skip
TYPED = re.compile(r"\d+\.\d+|\d+(?= ?%| points?\b)")


@pytest.fixture(scope="module")
def made():
    """{file: what the tables command would write there}."""
    folders = [ROOT / "results"]
    runs = finished.find(folders)
    steps = {timings.TITLE: timings.rows(ROOT / "benchmarks" / "RESULTS.json")}
    found = tables.tables(runs) | sweep_table.tables(folders) | steps
    return pages.Pages(ROOT / "results" / "pages", runs, found).texts(ROOT / "results", FILLED)


def test_pages_are_those_that_the_runs_make(made):
    differ = [str(path.relative_to(ROOT)) for path, text in made.items() if path.read_text(encoding="utf-8") != text]
    assert not differ, "run the command that results/README.md gives"
    assert {*FILLED} < made.keys() and len(made) > 20
    written = set((ROOT / "results").glob("*.md"))
    assert written == made.keys() - {*FILLED}  # no page of old


@pytest.mark.parametrize("path", sorted((ROOT / "results" / "pages").glob("*.jinja")), ids=lambda path: path.name)
def test_no_result_is_typed(path):
    """What a template says of a result, the tables command fills in."""
    said = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|`[^`]*`|\]\([^)]*\)", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert set(TYPED.findall(said)) <= SETTINGS | {"95"}  # of the 95 % interval


def test_pages_are_short(made):
    for path, most in LONGEST.items():
        assert len(made[path].splitlines()) <= most, path
    for path, text in made.items():
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            assert table.count("\n") <= ROWS + 2, (path, table)


def test_pictures_and_links_of_the_pages_are_there(made):
    for path, text in made.items():
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            assert target.startswith("https://") or (path.parent / pathlib.Path(target)).exists(), (path, target)
