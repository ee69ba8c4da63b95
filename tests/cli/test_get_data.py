"""get_data.py as a command: one sentence on stderr and exit code 2 for whatever cannot be used."""

import subprocess
import sys

import pytest

from tests.helpers.runs import ROOT


def run(*arguments, cwd=ROOT):
    command = [sys.executable, str(ROOT / "get_data.py"), *map(str, arguments)]
    return subprocess.run(command, check=False, cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--dataset is missing"),
        (["--dataset", "cifar"], "--dataset cifar is not known"),
        (["--dataset=omniglot", "--source=nowhere"], "--source nowhere is not a folder"),
        (["--dataset", "omniglot", "--split_file", "train.txt,test.txt"], "--split_file train.txt cannot be read"),
        (["--dataset", "omniglot", "--split=vinyals", "--split_file=train.txt"], "--split and --split_file both"),
        (["--dataset", "omniglot", "--split=mine"], "--split=mine"),
        (["--dataset", "mimgnet", "--source", ".", "--split=vinyals"], "--split is for --dataset omniglot only"),
        (["--dataset", "mimgnet", "--preparation=original"], "--preparation is for --dataset omniglot only"),
        (["--dataset", "omniglot", "--preparation=bw"], "--preparation=bw"),
        (["--dataset", "mimgnet"], "--source is missing"),
        (["--dataset", "mimgnet", "--source", ".", "--val"], "--val is for --dataset omniglot only"),
        (["--datset", "omniglot"], "--datset is not a flag: give --dataset"),
        (["--dataset", "omniglot", "--seed", "x"], "--seed=x"),
        (["--dataset", "omniglot", "--seed=-1"], "--seed"),
        (["--dataset"], "dataset"),
        (["omniglot"], "'omniglot' is not a flag"),
    ],
)
def test_unusable_flags_end_in_one_sentence(tmp_path, arguments, words):
    done = run(*arguments, "--data_dir", tmp_path / "data") if arguments != ["--dataset"] else run(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("get_data.py: ") and done.stderr.count("\n") == 1
    assert words in done.stderr and done.stdout == ""
    assert not (tmp_path / "data").exists()


def test_strokes_needs_nothing():
    done = run("--dataset", "strokes")
    assert done.returncode == 0 and "nothing to prepare" in done.stdout


def test_help_lists_the_flags_without_loading_tensorflow():
    done = run("--help")
    assert done.returncode == 0 and "--split_file" in done.stdout
    code = "import sys, tf_metadrop.data.omniglot, tf_metadrop.data.mimgnet; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60).returncode == 0
