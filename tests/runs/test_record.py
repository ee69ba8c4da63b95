"""run.json: what a run has cost."""

import pytest

from tf_metadrop import UsageError
from tf_metadrop.runs import record


def test_what_was_lost_is_not_in_the_record(tmp_path):
    first = record.Record(tmp_path, 0, "digest")
    first.write(10, 1)
    second = record.Record(tmp_path, 10, "digest")
    second.write(20, 1)
    second.write(30, 1)
    found = record.read(tmp_path)
    assert [(part["first"], part["iterations"]) for part in found["parts"]] == [(0, 10), (10, 20)]
    assert found["iterations"] == 30 and found["seconds"] == sum(part["seconds"] for part in found["parts"])
    record.Record(tmp_path, 0, "digest").write(5, 1)  # a run that starts anew
    assert [part["iterations"] for part in record.read(tmp_path)["parts"]] == [5]


@pytest.mark.parametrize("broken", ['{"iterations": 10, "parts": [', "[]"])
def test_a_broken_record_is_neither_ignored_nor_overwritten(broken, tmp_path):
    (tmp_path / "run.json").write_text(broken)
    for use in (record.read, lambda folder: record.Record(folder, 10, "digest")):
        with pytest.raises(
            UsageError, match=r"run\.json (cannot be read|is not what a training writes).*: restore it from a copy"
        ):
            use(tmp_path)
    assert (tmp_path / "run.json").read_text() == broken
