"""The Kaggle notebook: runs from its first cell to its last, and is committed with what it gave."""

import base64
import io
import re

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from tests.helpers.pictures import pixels
from tests.helpers.runs import ROOT

NOTEBOOK = ROOT / "notebooks" / "kaggle.ipynb"


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(notebook):
    """All text that the cells gave."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    texts = [output.get("text") or output.get("data", {}).get("text/markdown", "") for output in outputs]
    return "\n".join(texts)


def check(notebook):
    """A picture of the data, the curves, the drawings and the boundary; two results; the TF1 program's numbers."""
    text = shown(notebook)
    outputs = [output.get("data", {}) for cell in code_cells(notebook) for output in cell.outputs]
    pictures = [pixels(io.BytesIO(base64.b64decode(data["image/png"]))) for data in outputs if "image/png" in data]
    assert len(pictures) == 4
    for picture in pictures:
        assert min(picture.shape[:2]) > 100 and len(np.unique(picture)) > 50 and np.ptp(picture) > 200
    assert re.search(r"\| MAML \| \d+\.\d\d ± \d+\.\d\d \| \d+ \|\n\| Meta-dropout \| \d+\.\d\d ± ", text)
    losses = re.findall(r"\| (?:query loss|loss of inner step \d) \| (\d\.\d+) \| (\d\.\d+) \|", text)
    assert len(losses) == 6
    for theirs, ours in losses:
        assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    errors = re.findall(r"meta-gradient `(tf1|exact)`, worst variable: difference / norm \| \| (\S+) \|", text)
    assert [order for order, _ in errors] == ["tf1", "exact"] and all(float(error) < 1e-4 for _, error in errors)
    return text


@pytest.mark.slow
def test_every_cell_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("WORK", str(tmp_path))
    monkeypatch.setenv("ITERATIONS", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in code_cells(notebook):  # a shorter inner loop is traced sooner; the golden numbers are of five steps
        cell.source = cell.source.replace("n_steps=5", "n_steps=1")
    here = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=here).execute()
    text = check(notebook)
    assert "; 1 meta-iterations of each method" in text and "WARNING" not in text


def test_it_is_committed_with_its_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = code_cells(notebook)
    assert len(cells) < 10 and [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert "\nnotebook_runs/maml: starting" in check(notebook) and NOTEBOOK.stat().st_size < 1 << 20
