"""Disks that are full, read-only or turn bits: what was good stays, and the sentence says what to do."""

import contextlib
import os
import random
import re
import shutil
import subprocess

import pytest

from tests.helpers.runs import SMALL as RUN
from tests.helpers.runs import arrays, assert_equal_arrays, call, run, save_run, start
from tf_metadrop import UsageError
from tf_metadrop.cli import main
from tf_metadrop.runs import checkpoint

SMALL = [*RUN, "--second_order=first"]  # traced sooner


@contextlib.contextmanager
def mounted(folder, *options):
    """A small file system at `folder`; the test is skipped where none can be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield lambda *options: subprocess.run(["mount", "-o", ",".join(("remount", *options)), folder], check=True)
    finally:
        subprocess.run(["umount", folder], check=True)


def refused(*arguments):
    process = start(*arguments)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2 and re.fullmatch(r"main\.py: [^\n]+\.\n", err), err
    return err


def test_a_full_disk_keeps_the_last_checkpoint_and_the_run_goes_on_with_room(tmp_path):
    call(*SMALL, "--save_freq=2", f"--savedir={tmp_path / 'whole'}")
    with mounted(tmp_path / "disk", "size=7m") as again:
        savedir = tmp_path / "disk" / "run"
        assert "No space left on device" in refused(*SMALL, "--save_freq=2", f"--savedir={savedir}")
        assert not list(savedir.glob(".*.tmp"))
        reached = int(checkpoint.load(savedir).state.iteration)
        assert reached > 0
        again("size=50m")
        assert f"resuming at iteration {reached}" in run(*SMALL, "--save_freq=2", f"--savedir={savedir}")
        assert_equal_arrays(arrays(savedir), arrays(tmp_path / "whole"))
        assert (savedir / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_a_read_only_savedir_is_refused_at_once(tmp_path, capsys):
    with mounted(tmp_path / "disk", "size=50m") as again:
        save_run(tmp_path / "disk" / "run")
        again("ro")
        task = ["--dataset=strokes", "--way=5", "--query=2", "--metabatch=2", "--n_steps=1", "--wandb=disabled"]
        for arguments in (task, ["--mode=meta_test", "--wandb=disabled"], [*task, "--seed=1"]):
            folder = "new" if "--seed=1" in arguments else "run"
            assert main.main(["main.py", *arguments, f"--savedir={tmp_path / 'disk' / folder}"]) == 2
            err = capsys.readouterr().err
            assert re.fullmatch(r"main\.py: [^\n]+\.\n", err), err
            assert "ead-only file system" in err or "cannot be written to" in err


@pytest.fixture
def two_checkpoints(tmp_path):
    """A savedir with a state and the one before it, which differ in a weight."""
    save_run(tmp_path / "run")
    saved = checkpoint.load(tmp_path / "run")
    params = {name: w + 1 for name, w in saved.state.params.items()}
    moved = saved.state._replace(params=params, iteration=saved.state.iteration + 1)
    checkpoint.save(tmp_path / "run", saved._replace(state=moved))
    return tmp_path / "run"


def test_turned_bits_and_cut_files_are_noticed(two_checkpoints, capsys, request):
    path, chance = two_checkpoints / checkpoint.FILE, random.Random(request.config.getoption("--fault_seed"))
    good = path.read_bytes()
    for _ in range(60):
        broken = bytearray(good)
        if chance.random() < 0.3:
            del broken[chance.randrange(len(good)) :]
        else:
            broken[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        assert int(checkpoint.load(two_checkpoints).state.iteration) == 0
        assert re.fullmatch(
            r"\S+state\.npz is broken \([^\n]+\): restore it from a copy, or train in a new --savedir\. "
            r"Used instead: state\.previous\.npz, iteration -1\.\n",
            capsys.readouterr().err,
        )
    path.write_bytes(good)
    assert int(checkpoint.load(two_checkpoints).state.iteration) == 1 and capsys.readouterr().err == ""


def test_a_broken_checkpoint_does_not_take_the_place_of_the_good_one(two_checkpoints):
    path = two_checkpoints / checkpoint.FILE
    path.write_bytes(path.read_bytes()[:-1])
    checkpoint.set_aside_broken(two_checkpoints)
    assert not path.exists() and (two_checkpoints / checkpoint.BROKEN).exists()
    saved = checkpoint.load(two_checkpoints)  # as after a kill between the two renames
    checkpoint.save(two_checkpoints, saved)
    assert int(checkpoint.read(two_checkpoints / checkpoint.PREVIOUS).state.iteration) == 0


@pytest.mark.parametrize("links", [True, False])
def test_a_reader_beside_a_save_finds_a_whole_state(two_checkpoints, monkeypatch, capsys, links):
    """At every rename of a save: the last state where the file system has links, else the one before."""
    saved, rename, seen = checkpoint.load(two_checkpoints), os.replace, []
    path = two_checkpoints / checkpoint.FILE

    def watched(source, target):
        rename(source, target)
        seen.append((path.exists(), int(checkpoint.load(two_checkpoints).state.iteration)))

    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError("no links here")))
    monkeypatch.setattr(os, "replace", watched)
    checkpoint.save(two_checkpoints, saved._replace(state=saved.state._replace(iteration=saved.state.iteration + 1)))
    assert seen[-2:] == [(links, 1), (True, 2)] and capsys.readouterr().err == ""
    assert int(checkpoint.read(two_checkpoints / checkpoint.PREVIOUS).state.iteration) == 1
    assert not list(two_checkpoints.glob(".*.tmp"))


def test_two_broken_checkpoints(two_checkpoints):
    for name in (checkpoint.FILE, checkpoint.PREVIOUS):
        (two_checkpoints / name).write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"state\.npz is broken"):
        checkpoint.load(two_checkpoints)
