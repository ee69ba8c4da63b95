"""Tables of finished runs beside the published numbers: accuracy, noise types, robustness.

  metadrop tables FOLDER ... [--output FOLDER]

Reads every savedir under the folders (meta_test.json, attack.json and what lies beside them) and prints the tables as
Markdown; --output also writes tables.md, with figures of the learning curves and of the attacks, and a CSV file for
each table there. results/README.md is made by

  metadrop tables results --output results --page README.md --preface results/learned.md
"""

import argparse

from tf_metadrop.analysis import sweep_table, tables
from tf_metadrop.cli import program
from tf_metadrop.runs import finished
from tf_metadrop.util import paths, text


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=argv[0], description=__doc__, formatter_class=form)
    parser.add_argument("folders", nargs="+", type=paths.path, help="folders of savedirs, however deep")
    parser.add_argument("--output", type=paths.path, help="folder for tables.md, CSV files and figures")
    parser.add_argument("--page", default="tables.md", help="name of the Markdown file there; default: tables.md")
    parser.add_argument("--preface", type=paths.path, help="a Markdown file whose text comes first on that page")
    args = parser.parse_args(argv[1:])

    def act() -> None:
        runs = finished.find(args.folders)
        preface = text.read(args.preface, "--preface") + "\n" if args.preface else ""
        found = tables.tables(runs) | sweep_table.tables(args.folders)
        print(tables.markdown(found))
        if args.output:
            tables.write(args.output, args.page, preface, found, runs)

    return program.guard(argv[0], act)
