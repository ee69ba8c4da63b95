"""What tests of data share."""

import pytest

from tests.helpers.own_images import fill


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return fill(tmp_path / "source")
