"""Makes tables of finished runs beside the published numbers: accuracy, noise types, robustness.

  metadrop tables FOLDER ... [--output FOLDER]

Reads every savedir under the folders (meta_test.json, attack.json and what lies beside them) and prints the tables as
Markdown; --output also writes tables.md, with figures of the learning curves and of the attacks, and a CSV file for
each table there. --pages names a folder of templates (see tf_metadrop/analysis/pages.py), from which the pages in the
output folder are made instead of tables.md; --fill renews the parts of other files that are made in the same way.
--timings adds a table of the time of a training step, from the RESULTS.json of `python -m benchmarks.step --suite`.
The project's own pages are made by

  metadrop tables results --timings benchmarks/RESULTS.json --output results --pages results/pages \\
      --fill $(grep -rl "metadrop tables -->" README.md docs)
"""

from tf_metadrop.analysis import pages, sweep_table, tables, timings
from tf_metadrop.cli import program
from tf_metadrop.errors import UsageError
from tf_metadrop.runs import finished
from tf_metadrop.util import paths


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    parser = program.Parser(argv, __doc__)
    parser.add_argument("folders", nargs="+", type=paths.path, help="folders that contain savedirs, at any depth")
    parser.add_argument("--output", type=paths.path, help="folder for tables.md, CSV files and figures")
    parser.add_argument("--pages", type=paths.path, help="folder of templates of pages")
    parser.add_argument("--fill", type=paths.path, nargs="+", default=[], help="files with parts made from templates")
    parser.add_argument("--timings", type=paths.path, help="RESULTS.json of the benchmarks of a step")
    args = parser.parse_args(argv[1:])

    def act() -> None:
        if (args.pages or args.fill) and not (args.pages and args.output):
            raise UsageError(
                "--pages and --fill: give --output, the folder of the pages, and --pages, their templates."
            )
        runs = finished.find(args.folders)
        found = tables.tables(runs) | sweep_table.tables(args.folders)
        if args.timings:
            found[timings.TITLE] = timings.rows(args.timings)
        if args.pages:
            texts = pages.Pages(args.pages, runs, found).texts(args.output, args.fill)
        else:
            print(tables.markdown(found))
            texts = None
        if args.output:
            tables.write(args.output, found, runs, texts)

    return program.guard(argv[0], act)
