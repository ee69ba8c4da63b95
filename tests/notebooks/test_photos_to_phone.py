"""The notebook from photographs to a TFLite file: it runs as a whole, and is committed with what it gave."""

import base64
import io
import re

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from tests.helpers.pictures import pixels
from tests.helpers.runs import ROOT
from tests.notebooks.test_kaggle import code_cells, shown

NOTEBOOK = ROOT / "notebooks" / "photos_to_phone.ipynb"


def check(notebook):
    """(pictures asked about, right answers) of both files; their sizes, and two figures."""
    text = shown(notebook)
    outputs = [output.get("data", {}) for cell in code_cells(notebook) for output in cell.outputs]
    pictures = [pixels(io.BytesIO(base64.b64decode(data["image/png"]))) for data in outputs if "image/png" in data]
    assert len(pictures) == 2
    for picture in pictures:
        assert min(picture.shape[:2]) > 100 and len(np.unique(picture)) > 50 and np.ptp(picture) > 200
    rows = re.findall(r"\| (?:classifier|small)/model.tflite \| (\d+) \| \d+\.\d+ \| (\d+) \| (\d+) \|", text)
    (whole, right, asked), (small, right_int8, _) = [[int(cell) for cell in row] for row in rows]
    assert small < 0.4 * whole and "int8" in text
    return text, right / asked, right_int8 / asked


@pytest.mark.nightly
def test_every_cell_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("WORK", str(tmp_path))
    monkeypatch.setenv("ITERATIONS", "1")
    monkeypatch.setenv("CLASSES", "40")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in code_cells(notebook):
        cell.source = cell.source.replace("metabatch=4", "metabatch=1, n_steps=1")
    here = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=here).execute()
    text, _, _ = check(notebook)
    assert "; 1 meta-iterations" in text and "WARNING" not in text


def test_it_is_committed_with_its_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = code_cells(notebook)
    assert len(cells) < 10 and [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    _, right, right_int8 = check(notebook)
    assert right > 0.8 and right_int8 > 0.7 and NOTEBOOK.stat().st_size < 1 << 20
