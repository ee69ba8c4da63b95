"""What the programs share: exit codes, and an end without a traceback."""

import errno
import importlib
import pathlib
import re
import signal
import sys
import time

import pytest

from tests.helpers.runs import SMALL, start
from tf_metadrop.cli import program
from tf_metadrop.util import paths, signals


def test_a_package_that_is_not_installed(capsys):
    assert program.guard("main.py", lambda: importlib.import_module("no_such_package")) == 2
    err = capsys.readouterr().err
    assert re.fullmatch(r"main\.py: the package no_such_package is not installed in [^\n]+\.\n", err), err
    with pytest.raises(ModuleNotFoundError):
        program.guard("main.py", lambda: importlib.import_module("tf_metadrop.no_such_module"))


def test_interrupt_leaves_no_traceback(tmp_path):
    heeded = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # also where the tests run in the background
    process = start(*SMALL, f"--savedir={tmp_path / 'run'}", "--n_train_iters=100000", preexec_fn=heeded)
    process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err


def test_a_reader_that_has_gone_is_no_error():
    process = start("--help")
    process.stdout.close()  # as `head` does
    assert process.stderr.read() == "" and process.wait(timeout=60) == 128 + signal.SIGPIPE


def test_missing_and_unknown_arguments_are_told_in_one_sentence(capsys):
    """Of every program with arguments of its own."""
    for module in pathlib.Path(program.__file__).parent.glob("*.py"):
        assert module.name == "program.py" or "ArgumentParser(" not in module.read_text(), module
    parser = program.Parser(["metadrop report"], "Makes a page.")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--name")
    parser.add_argument("--out", type=paths.path)
    for arguments, sentence in (
        ([], "folders is missing"),
        (["a", "--outptu=b"], "unrecognized arguments: --outptu=b"),
        (["a", "--out="], "argument --out: invalid path value: ''"),
    ):
        with pytest.raises(SystemExit) as stopped:
            parser.parse_args(arguments)
        assert stopped.value.code == 2
        assert capsys.readouterr().err == f"metadrop report: {sentence}: see metadrop report --help.\n"
    for arguments, name in (["a", "--name="], "--name"), (["a", ""], "folders"):  # as of variables that are not set
        with pytest.raises(SystemExit) as stopped:
            parser.parse_args(arguments)
        assert stopped.value.code == 2
        assert capsys.readouterr().err == f"metadrop report: {name} is empty: give a value.\n"
    assert parser.parse_args([".", "--out=."]).out == pathlib.Path(".")


def test_a_closed_output_is_no_error(monkeypatch):
    for name in "stdout", "stderr":
        monkeypatch.setattr(sys, name, None)
    assert program.guard("main.py", lambda: print("done")) == 0


def test_a_terminal_that_is_gone_takes_no_last_word(monkeypatch, capsys):
    def fail():
        raise signals.HungUp

    def gone(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    assert program.guard("main.py", fail) == 128 + signal.SIGHUP
    assert capsys.readouterr().err == "main.py: the terminal is closed.\n"
    monkeypatch.setattr("builtins.print", gone)
    assert program.guard("main.py", fail) == 128 + signal.SIGHUP
