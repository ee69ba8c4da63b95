"""Writes one HTML page about a set of runs: settings, curves, tables beside the published numbers, and figures.

metadrop report DIR ... [--output report.html]

It reads every savedir under the folders, finished or not. The page needs no network and no other file.
"""

from tf_metadrop.analysis import report
from tf_metadrop.cli import program
from tf_metadrop.util import paths


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    parser = program.Parser(argv, __doc__)
    parser.add_argument("folders", nargs="+", type=paths.path, help="folders that contain savedirs, at any depth")
    parser.add_argument("--output", type=paths.path, default="report.html", help="file to write; default: report.html")
    args = parser.parse_args(argv[1:])

    def act() -> None:
        text = report.page(args.folders)
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_bytes(text.encode(errors="backslashreplace"))  # a folder's name may be no text
        print(f"wrote {args.output}")

    return program.guard(argv[0], act)
