"""Recomputes a training step that had non-finite values (NaN or Inf): each task as it was trained, and in float64.

metadrop replay S/fault_17.npz
"""

from tf_metadrop.cli import main as main_program
from tf_metadrop.cli import program


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    parser = program.Parser(argv, __doc__)
    parser.add_argument("file", help="a fault_<iteration>.npz of a savedir")
    return main_program.main([argv[0], f"--replay={parser.parse_args(argv[1:]).file}"])
