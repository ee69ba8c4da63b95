"""The command `metadrop`: its first word says what to do, the rest is that command line's own."""

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NamedTuple

import tf_metadrop

WIDTH = 11  # of the first column of the help


class Subcommand(NamedTuple):
    """A word after `metadrop`.

    Attributes:
      module: of tf_metadrop.cli; its `main(argv)` is called.
      help: a line for `metadrop --help`.
      flags: put before the user's.
    """

    module: str
    help: str
    flags: tuple[str, ...] = ()


SUBCOMMANDS = {
    "data": Subcommand("get_data", "get a data set ready: train.npy, val.npy and test.npy"),
    "train": Subcommand("main", "meta-train: MAML, Meta-dropout and others", ("--mode=meta_train",)),
    "test": Subcommand("main", "meta-test a trained model: accuracy with its interval", ("--mode=meta_test",)),
    "adapt": Subcommand("adapt", "adapt a trained model to your own classes: a folder of images for each"),
    "predict": Subcommand("predict", "classify your own images, each by itself"),
    "attack": Subcommand("main", "accuracy under adversarial attacks", ("--mode=attack",)),
    "export": Subcommand("main", "features along the inner loop, for figures", ("--mode=export",)),
    "export_tf1": Subcommand("export_tf1", "the weights of a run as the TF1 program restores them"),
    "replay": Subcommand("replay", "look again at a training step whose numbers were not finite"),
    "plot": Subcommand("plot", "draw the figures of runs"),
    "compare": Subcommand("compare", "two runs, also of the TF1 program, side by side"),
    "sweep": Subcommand("sweep", "try many settings, on Optuna"),
    "tables": Subcommand("tables", "tables of finished runs beside the published numbers"),
    "report": Subcommand("report", "one page of HTML with all that a set of runs has"),
    "reproduce": Subcommand("reproduce", "train and test the runs behind results/"),
    "quickstart": Subcommand("quickstart", "MAML and Meta-dropout on generated images, in minutes"),
    "short_runs": Subcommand("short_runs", "every method for a few iterations"),
}


def usage() -> str:
    """The text of `metadrop --help`."""
    lines = [f"  {name:{WIDTH}s} {subcommand.help}" for name, subcommand in SUBCOMMANDS.items()]
    return "\n".join(
        [
            f"tf_metadrop {tf_metadrop.__version__}: Meta Dropout (Lee et al., ICLR 2020) in TensorFlow 2.",
            "",
            "usage: metadrop COMMAND [FLAGS]          metadrop COMMAND --help says what a command takes",
            "",
            *lines,
            "",
            "`metadrop --mode=... [FLAGS]` is the TF1 program's command line (python main.py). Where `metadrop` is not",
            "installed, `python -m tf_metadrop` in the checkout is the same.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with `argv` (argv[0] is its name; None: the process's own) and returns the exit code."""
    try:
        try:
            return dispatch(list(sys.argv if argv is None else argv))
        finally:  # also where a --help leaves by SystemExit
            sys.stdout.flush()
    except BrokenPipeError:  # who read stdout is gone, as in metadrop --help | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what Python still flushes at its end
        return 128 + signal.SIGPIPE


def dispatch(argv: list[str]) -> int:
    """Says what can be done, or calls the subcommand that the first word names."""
    first = argv[1] if len(argv) > 1 else "--help"
    if first in ("--help", "-h", "-help", "help"):
        print(usage())
        return 0
    if first == "--version":
        print(tf_metadrop.__version__)
        return 0
    if first.startswith("-"):
        return call(Subcommand("main", ""), "metadrop", argv[1:])
    if first not in SUBCOMMANDS:
        print(f"metadrop: {first!r} is not a command: give one of {', '.join(SUBCOMMANDS)}.", file=sys.stderr)
        return 2
    return call(SUBCOMMANDS[first], f"metadrop {first}", argv[2:])


def call(subcommand: Subcommand, name: str, arguments: Sequence[str]) -> int:
    """Calls a subcommand's own main; only now is its module imported."""
    module = importlib.import_module(f"tf_metadrop.cli.{subcommand.module}")
    return module.main([name, *subcommand.flags, *arguments])
