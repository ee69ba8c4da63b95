"""The command `metadrop`: its first word names a subcommand, which parses the rest of the command line."""

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
      module: name of the module of tf_metadrop.cli whose `main(argv)` is called.
      help: its line in `metadrop --help`.
      flags: flags that are put before the user's.
    """

    module: str
    help: str
    flags: tuple[str, ...] = ()


SUBCOMMANDS = {
    "data": Subcommand("get_data", "prepare a data set: write train.npy, val.npy and test.npy"),
    "train": Subcommand("main", "meta-train: MAML, Meta-dropout and others", ("--mode=meta_train",)),
    "test": Subcommand("main", "meta-test a trained model: accuracy with a confidence interval", ("--mode=meta_test",)),
    "adapt": Subcommand("adapt", "adapt a trained model to your own classes: a folder of images for each"),
    "predict": Subcommand("predict", "classify your own images, each independently of the others"),
    "attack": Subcommand("main", "measure accuracy under adversarial attacks", ("--mode=attack",)),
    "export": Subcommand("main", "save the features at every inner step, for figures", ("--mode=export",)),
    "export_tf1": Subcommand("export_tf1", "write the weights of a run as the TF1 program restores them"),
    "replay": Subcommand("replay", "recompute a training step that had non-finite values (NaN or Inf)"),
    "plot": Subcommand("plot", "draw the figures of runs"),
    "compare": Subcommand("compare", "compare two runs, of this program or of the TF1 program"),
    "sweep": Subcommand("sweep", "try many settings, with Optuna"),
    "tables": Subcommand("tables", "make tables of finished runs beside the published numbers"),
    "report": Subcommand("report", "make one HTML page about a set of runs"),
    "reproduce": Subcommand("reproduce", "train and test the runs behind results/"),
    "quickstart": Subcommand("quickstart", "train and test MAML and Meta-dropout on generated images, in minutes"),
    "short_runs": Subcommand("short_runs", "train and test every method for a few iterations"),
}


def usage() -> str:
    """The text of `metadrop --help`."""
    lines = [f"  {name:{WIDTH}s} {subcommand.help}" for name, subcommand in SUBCOMMANDS.items()]
    return "\n".join(
        [
            f"tf_metadrop {tf_metadrop.__version__}: Meta Dropout (Lee et al., ICLR 2020) in TensorFlow 2.",
            "",
            "usage: metadrop COMMAND [FLAGS]          metadrop COMMAND --help lists the flags of a command",
            "",
            *lines,
            "",
            "`metadrop --mode=... [FLAGS]` takes the TF1 program's flags, as `python main.py` does. If `metadrop` is",
            "not installed, use `python -m tf_metadrop` in the checkout.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with `argv` (argv[0] is its name; None: the process's own) and returns the exit code."""
    try:
        try:
            return dispatch(list(sys.argv if argv is None else argv))
        finally:  # also after --help, which raises SystemExit
            if sys.stdout:  # None if it is closed
                sys.stdout.flush()
    except BrokenPipeError:  # the reader of stdout has closed it, as in metadrop --help | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes stdout once more when it exits
        return 128 + signal.SIGPIPE


def dispatch(argv: list[str]) -> int:
    """Prints the help or the version, or calls the subcommand that the first word names."""
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
    """Imports a subcommand's module and calls its main."""
    module = importlib.import_module(f"tf_metadrop.cli.{subcommand.module}")
    return module.main([name, *subcommand.flags, *arguments])
