"""What all programs share: they parse flags, and report unusable input in one sentence with exit code 2."""

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from absl import flags

from tf_metadrop.cli import hints
from tf_metadrop.errors import UsageError
from tf_metadrop.experiments import flag_files
from tf_metadrop.util import signals

ENDED: dict[type[BaseException], tuple[str, int]] = {  # the last word, and the exit code
    signals.Terminated: ("terminated", 128 + signal.SIGTERM),
    signals.HungUp: ("the terminal is closed", 128 + signal.SIGHUP),
}
HELP = ("--helpfull", "--helpshort", "-help", "-?")  # absl's other names for --help


class Parser(argparse.ArgumentParser):
    """A parser of a program's arguments, which says in one sentence what it cannot parse."""

    def __init__(self, argv: Sequence[str], doc: str | None):
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(prog=argv[0], description=doc, formatter_class=form, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Prints the sentence and exits with 2."""
        missing = message.removeprefix("the following arguments are required: ")
        sentence = f"{missing} is missing" if missing != message else message
        self.exit(2, f"{self.prog}: {sentence}: see {self.prog} --help.\n")

    def parse_args(self, *given: Any, **more: Any) -> Any:
        """As the parser of Python does it; an empty value, as of a shell variable that is not set, is refused."""
        found = super().parse_args(*given, **more)
        for name, value in vars(found).items():
            if "" in (value if isinstance(value, list) else [value]):
                option = next(action for action in self._actions if action.dest == name).option_strings
                self.exit(2, f"{self.prog}: {option[-1] if option else name} is empty: give a value.\n")
        return found


def run(
    argv: Sequence[str], doc: str, define: Callable[[flags.FlagValues], None], act: Callable[[flags.FlagValues], None]
) -> int:
    """Parses a command line and does the program's work.

    Args:
      argv: the command line; argv[0] is the program's name.
      doc: printed by --help, above the flags.
      define: declares the program's flags.
      act: does the work; may raise UsageError.
    Returns:
      The exit code: 0 for success; 2 for unusable input, with one sentence on stderr that says what is wrong and how to
        fix it; 130 if interrupted; 143 if terminated; 129 if the terminal is closed; 141 if nobody reads stdout.
    """
    program = argv[0].rsplit("/", 1)[-1]
    values = flags.FlagValues()
    define(values)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)

    def parse_and_act() -> None:
        arguments = ["--help" if argument in HELP else argument for argument in flag_files.expanded(argv)]
        try:
            rest = values(arguments)[1:]
        except flags.UnrecognizedFlagError as error:
            raise UsageError(hints.of_flag(error.flagname, values)) from error
        check_values(values)
        if values.help:
            print(f"{doc}\nFlags:\n{values.get_help()}")
            return
        if rest:
            raise UsageError(hints.of_word(rest[0], arguments, values))
        act(values)

    return guard(program, parse_and_act)


def check_values(values: flags.FlagValues) -> None:
    """Refuses texts that nobody means: an empty one, and one that is the next flag, as in `--savedir --way=5`."""
    for name in values:
        flag = values[name]
        for value in flag.value if isinstance(flag.value, list) else [flag.value]:
            if not flag.present or not isinstance(value, str):
                continue
            if value == "":
                raise UsageError(f"--{name} is empty: give a value, or leave it out.")
            word = value.split("=")[0].lstrip("-")
            if value.startswith("--") and (word in values or word.removeprefix("no") in values):
                raise UsageError(f"--{name} has no value before {value}: give one, or leave --{name} out.")


def guard(program: str, act: Callable[[], None]) -> int:
    """Calls `act` and returns the exit code; an error that a user can cause becomes one sentence on stderr."""
    for stream in sys.stdout, sys.stderr:  # names of files may have bytes that are no text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with signals.watched():
            act()
            if sys.stdout:  # None if it is closed
                sys.stdout.flush()
        return 0
    except BrokenPipeError:  # the reader of stdout has closed it, as in main.py --help | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes stdout once more when it exits
        return 128 + signal.SIGPIPE
    except flags.Error as error:
        sentence = f"{hints.of_value(error)}: see {program} --help for the flags."
    except UsageError as error:
        sentence = str(error)
    except ModuleNotFoundError as error:
        if (error.name or "tf_metadrop").startswith("tf_metadrop"):  # a mistake in the code
            raise
        sentence = (
            f"the package {error.name} is not installed in {sys.prefix}: install it as the README says, or use the "
            "Python of .venv, which `make env` sets up."
        )
    except MemoryError:
        sentence = "there is not enough memory: lower --metabatch, --way, --shot or --query."
    except OSError as error:  # as a folder without read permission, or a full disk
        reason = error.strerror or error
        sentence = f"{error.filename or 'a file'} cannot be used ({reason}): fix it, or give another file or folder."
    except KeyboardInterrupt as error:
        word, code = ENDED.get(type(error), ("interrupted", 130))
        say(f"{program}: {word}.")
        return code
    say(f"{program}: {' '.join(sentence.split())}")  # a value may hold line breaks
    return 2


def say(sentence: str) -> None:
    """Prints to stderr, if the terminal still exists."""
    with contextlib.suppress(OSError):
        print(sentence, file=sys.stderr)
