"""Compares a run of the TF1 program with one of this program: weights, training curves, and results of the same test.

metadrop compare --tf1_savedir A --savedir B [--out FOLDER] [flags of main.py for the test]

Prints a table of the weights, meta-tests both on the same episodes under the same noise, writes the training curves of
both (curves.png) and all numbers (comparison.json) to --out (default: plot/ in B), and ends with a verdict in one line.
A and B may each be a savedir of either program. Settings of the task and the inner loop default to those of B.
"""

import dataclasses
import json
from collections.abc import Sequence

from absl import flags

from tf_metadrop.cli import program
from tf_metadrop.config import absl_flags
from tf_metadrop.errors import UsageError
from tf_metadrop.figures import curves
from tf_metadrop.util import environment, paths
from tf_metadrop.util.interval import plus_minus
from tf_metadrop.util.quiet import importing_tensorflow


def define_flags(values: flags.FlagValues) -> None:
    """Declares the program's flags."""
    absl_flags.define_flags(values)
    flags.DEFINE_string("tf1_savedir", None, "Savedir of the TF1 program's run.", flag_values=values)
    flags.DEFINE_string("out", None, "Folder for curves.png and comparison.json.", flag_values=values)


def act(values: flags.FlagValues) -> None:
    """Compares the two runs, prints the comparison and writes its files."""
    if not values.tf1_savedir or not values.savedir:
        raise UsageError("--tf1_savedir and --savedir are both needed: give the folders of two runs.")
    settings = dataclasses.replace(absl_flags.from_flags(values), mode="meta_test")
    environment.before_tensorflow(settings.gpu_id)
    with importing_tensorflow():
        from tf_metadrop.modes import compare
        from tf_metadrop.runs import checkpoint
    folders = paths.path(values.tf1_savedir), settings.directory
    names = folders[0].resolve().name, folders[1].resolve().name
    names = names if names[0] != names[1] else ("TF1", "ours")
    rows = compare.weights(*[checkpoint.load_params(folder, settings.weights)[0] for folder in folders])
    print(table(rows, names), end="\n\n")
    tested, settings = compare.meta_test_both(folders[0], settings, absl_flags.given_flags(values))
    summary = compare.summary(tested, names)
    for name, of_model in summary["models"].items():
        accuracy, half, cent = of_model.values()
        print(f"{name}: accuracy in per cent {plus_minus(accuracy, half, sign='+-')}, cent {cent:.4f}")
    print(f"mean absolute difference of the query logits: {tested.logit_difference:.4g}; ", end="")
    print(f"same class for {100 * tested.agreement:.1f} % of the query images")
    out = paths.path(values.out) if values.out else settings.directory / "plot"
    out.mkdir(parents=True, exist_ok=True)
    about = dict(folders=[str(folder) for folder in folders], config=settings.as_dict(), weights=rows, test=summary)
    (out / "comparison.json").write_text(json.dumps(about, indent=1) + "\n")
    named = dict(zip(names, folders, strict=True))
    if logged := curves.load_all(named):
        curves.draw(out / "curves.png", logged, curves.methods(named))
    print(f"wrote {out / 'comparison.json'}{f' and {out}/curves.png' if logged else ''}")
    print(summary["verdict"])


def table(rows: list[dict], names: tuple[str, str]) -> str:
    """The table of the weights as text."""
    from tabulate import tabulate

    header = ["parameter", f"norm, {names[0]}", f"norm, {names[1]}", "distance", "distance / norm"]
    return tabulate([list(row.values()) for row in rows], header, floatfmt=".4g")


def main(argv: Sequence[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    return program.run(argv, __doc__, define_flags, act)
