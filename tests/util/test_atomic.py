"""Files that are written whole, and what is no file."""

import os
import pathlib
import tempfile
import threading

import pytest

from tf_metadrop.util import atomic


def test_a_link_stays_one_and_its_file_is_written(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "table.csv").write_bytes(b"old")
    for name, target in ("here.csv", "disk/table.csv"), ("new.csv", "disk/new.csv"):
        (tmp_path / name).symlink_to(target)
        atomic.write(tmp_path / name, b"rows")
        assert (tmp_path / name).is_symlink() and (tmp_path / target).read_bytes() == b"rows"
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == ["new.csv", "table.csv"]


def test_a_pipe_is_written_into(tmp_path):
    """As of `--csv >(sort)`; renaming a file over it would leave its reader waiting."""
    os.mkfifo(tmp_path / "pipe")
    found = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_bytes()), daemon=True)
    reader.start()
    atomic.write(tmp_path / "pipe", b"rows")
    reader.join(10)
    assert found == [b"rows"] and (tmp_path / "pipe").is_fifo()


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError):
        atomic.write(tmp_path, b"rows")
    assert not [*tmp_path.iterdir(), *tmp_path.parent.glob(".*.tmp")]


def test_files_in_memory_are_files():
    """/dev/shm is a usual place for a run."""
    if not os.path.isdir("/dev/shm"):
        pytest.skip("there is none here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for content in b"long before", b"now":
            atomic.write(pathlib.Path(folder) / "state", content)
        assert (pathlib.Path(folder) / "state").read_bytes() == b"now"
