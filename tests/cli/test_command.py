"""The command `metadrop` as a whole: what it says of itself, and how it ends."""

import os
import signal
import subprocess
import sys

import pytest

from tests.helpers.runs import ROOT
from tf_metadrop.cli import command


@pytest.mark.parametrize("arguments", ["", "--help", "--version", "train --help", "data --help", "sweep --help"])
def test_nobody_reads_what_it_says(arguments):
    """As in `metadrop --help | head`: no traceback, whatever the kind of command line."""
    reader, writer = os.pipe()
    os.close(reader)
    program = [sys.executable, "-m", "tf_metadrop", *arguments.split()]
    done = subprocess.run(program, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    silent = arguments.startswith("sweep")  # argparse itself ignores that nobody reads its help
    assert (done.returncode, done.stderr) == (0 if silent else 128 + signal.SIGPIPE, "")


def test_a_first_word_that_is_no_command(capsys):
    assert command.main(["metadrop", "trian"]) == 2
    assert capsys.readouterr().err.startswith("metadrop: 'trian' is not a command: give one of data, train, test")


def test_flags_alone_are_the_tf1_program_s_command_line(capsys):
    assert command.main(["metadrop", "--mode=meta_test", "--savedir=nowhere"]) == 2
    assert capsys.readouterr().err.startswith("metadrop: nowhere")
