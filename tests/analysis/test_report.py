"""The report: one self-contained page, and what it holds."""

import base64
import html.parser
import io
import re
import shutil
import subprocess

import pytest
from PIL import Image

from tests.helpers.pictures import assert_shows
from tests.helpers.savedirs import everything
from tf_metadrop.analysis import report
from tf_metadrop.cli import report as report_program
from tf_metadrop.figures import style


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    everything(folder / "runs" / "maml", 1, maml=True)
    everything(folder / "runs" / "deeper" / "metadrop", 2, inner_lr=0.4)
    assert (
        report_program.main(["metadrop report", str(folder / "runs"), f"--output={folder / 'out' / 'report.html'}"])
        == 0
    )
    return folder / "out" / "report.html"


class Outline(html.parser.HTMLParser):
    """Tags that are open, and what the page refers to."""

    VOID = "meta", "img", "br"

    def __init__(self):
        super().__init__()
        self.open, self.references, self.cells = [], [], []

    def handle_starttag(self, tag, attributes):
        self.references += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.cells += [data] if self.open and self.open[-1] in ("td", "th") else []


def test_page_is_whole_and_needs_nothing_else(page):
    outline, text = Outline(), page.read_text()
    outline.feed(text)
    assert not outline.open
    pictures = [reference for reference in outline.references if reference.startswith("data:image/png;base64,")]
    assert len(pictures) == 2 + 1 + 2 * report.SHOWN_TASKS  # curves and cost; robustness; rows of decision boundaries
    for reference in set(outline.references) - set(pictures):
        assert reference in ("#settings", "#results", "#figures")
    assert "http:" not in text and "https:" not in text
    both, cost, classes = (style.BLUE, style.VERMILLION), (style.SKY,), style.CLASSES
    expected = [both, cost, both] + 2 * report.SHOWN_TASKS * [classes]
    for picture, colours in zip(pictures, expected, strict=True):
        assert_shows(io.BytesIO(base64.b64decode(picture.partition(",")[2])), colours)


def test_page_says_what_the_runs_are_and_gave(page):
    outline, text = Outline(), page.read_text()
    outline.feed(text)
    for cell in ("inner_lr", "0.4", "maml", "metadrop", "91.25 ± 0.50", "96.63 ± 0.13", "45.00 ± 1.00"):
        assert cell in outline.cells, cell
    assert re.search(r"Shared by all runs:\s+.*way 20", text, re.DOTALL) and "way" not in outline.cells


def test_settings_are_escaped(tmp_path):
    everything(tmp_path / "runs" / "a", 0)
    log = tmp_path / "runs" / "a" / "meta_train.log"
    log.write_text(log.read_text().replace("dataset: omniglot", "dataset: <script>alert(1)</script>"))
    assert "<script>" not in report.page([tmp_path / "runs"])


def test_the_settings_of_a_resumed_run_are_the_last_ones(tmp_path):
    everything(tmp_path / "runs" / "a", 0, n_train_iters=20)
    log = tmp_path / "runs" / "a" / "meta_train.log"
    log.write_text(log.read_text() + "\nResumes from iteration 21: n_train_iters 20 -> 40\n")
    _, shared = report.settings({"a": tmp_path / "runs" / "a"})
    assert shared["n_train_iters"] == "40"


def test_a_run_that_was_killed_at_once_is_shown_without_curves(tmp_path, capsys):
    for name in ("good", "killed"):
        everything(tmp_path / "runs" / name, 1)
    log = tmp_path / "runs" / "killed" / "meta_train.log"
    log.write_text(log.read_text().split("meta_train: episode")[0])
    page = report.page([tmp_path / "runs"])
    assert "killed" in page and "Training: loss and accuracy" in page
    assert "left out: " in (said := capsys.readouterr().err) and "killed/meta_train.log has no line" in said


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_folders_without_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert report_program.main(["metadrop report", name]) == 2
    assert re.search("is not a folder|holds no savedir", capsys.readouterr().err) and not list(tmp_path.iterdir())


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(not BROWSER, reason="no Chromium here")
def test_a_browser_shows_and_prints_it(page, tmp_path):
    run = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1366,768"]
    subprocess.run([*run, f"--screenshot={tmp_path / 'page.png'}", page.as_uri()], check=True, timeout=120)
    subprocess.run([*run, f"--print-to-pdf={tmp_path / 'page.pdf'}", page.as_uri()], check=True, timeout=120)
    with Image.open(tmp_path / "page.png") as shot:
        assert shot.convert("L").getextrema() != (255, 255)
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
