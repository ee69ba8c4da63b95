"""What the programs share: flags in, one sentence and exit code 2 when they cannot be used."""

import os
import signal
import sys
from collections.abc import Callable, Sequence

from absl import flags

from tf_metadrop.cli import hints
from tf_metadrop.errors import UsageError
from tf_metadrop.experiments import flag_files
from tf_metadrop.util import signals

HELP = ("--helpfull", "--helpshort", "-help", "-?")  # absl's other names for it


def run(
    argv: Sequence[str], doc: str, define: Callable[[flags.FlagValues], None], act: Callable[[flags.FlagValues], None]
) -> int:
    """Parses `argv` (argv[0] is the program's name) and acts.

    Args:
      doc: printed by --help, above the flags.
      define: declares the program's flags.
      act: does the work; may raise UsageError.
    Returns:
      The exit code: 0 done, 2 not usable input (one sentence on stderr says what, and the mend), 130 interrupted,
        143 terminated, 141 nobody reads stdout.
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
        if values.help:
            print(f"{doc}\nFlags:\n{values.get_help()}")
            return
        if rest:
            raise UsageError(hints.of_word(rest[0], arguments, values))
        act(values)

    return guard(program, parse_and_act)


def guard(program: str, act: Callable[[], None]) -> int:
    """Calls `act` and returns the exit code; what a user can cause is said in one sentence on stderr."""
    try:
        with signals.watched():
            act()
            sys.stdout.flush()
        return 0
    except BrokenPipeError:  # who read stdout is gone, as in main.py --help | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what Python still flushes at its end
        return 128 + signal.SIGPIPE
    except flags.Error as error:
        sentence = f"{' '.join(str(error).split()).rstrip('.')}: see {program} --help for the flags."
    except UsageError as error:
        sentence = str(error)
    except ModuleNotFoundError as error:
        if (error.name or "tf_metadrop").startswith("tf_metadrop"):  # a mistake in the code
            raise
        sentence = (
            f"the package {error.name} is not installed in {sys.prefix}: install as the README says, or take .venv's "
            "python, which `make env` sets up."
        )
    except MemoryError:
        sentence = "the memory is not enough: lower --metabatch, --way, --shot or --query."
    except OSError as error:  # a folder that may not be looked into, a full disk, and the like
        sentence = (
            f"{error.filename or 'a file'} cannot be used ({error.strerror or error}): mend it or give another one."
        )
    except signals.Terminated:
        print(f"{program}: terminated.", file=sys.stderr)
        return 143
    except KeyboardInterrupt:
        print(f"{program}: interrupted.", file=sys.stderr)
        return 130
    print(f"{program}: {' '.join(sentence.split())}", file=sys.stderr)  # a value may hold line breaks
    return 2
