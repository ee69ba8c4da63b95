"""Meta-trains MAML and Meta-dropout on generated strokes, meta-tests both on the same tasks and prints the comparison.

metadrop quickstart [--out FOLDER] [FLAGS OF metadrop train]

The settings are those of flags/quickstart.flags, unless FLAGS change them.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np

from tf_metadrop.analysis import paired
from tf_metadrop.cli import program
from tf_metadrop.experiments import published_runs
from tf_metadrop.util import paths, signals, subprocesses
from tf_metadrop.util.interval import interval, plus_minus

METHODS = {  # their inner learning rates were chosen on validation classes: results/sweeps
    "MAML": ["--maml", "--inner_lr=0.1"],
    "Meta-dropout": ["--nomaml", "--inner_lr=0.05"],
}
TEST = ["--n_test_mc_samp=10", "--n_test_iters=200"]


def run(arguments: list[str]) -> None:
    """Runs a mode in its own process and shows the command line; exits with the process's code if it fails."""
    print(f"\n$ metadrop {' '.join(arguments)}", flush=True)
    process = subprocess.Popen(**subprocesses.command(arguments))
    try:
        code = process.wait()
    except KeyboardInterrupt as error:
        if isinstance(error, signals.Terminated):  # Ctrl-C reaches it too
            process.terminate()
        process.wait()  # the process saves its state first
        raise
    if code:
        sys.exit(code)


def compare(out: pathlib.Path, flags: list[str]) -> None:
    """Trains and tests both methods, and prints the comparison."""
    lines, found = [], []
    for name, method in METHODS.items():
        savedir = out / name.lower()
        common = ["--flagfile=flags/quickstart.flags", *method, *flags, f"--savedir={savedir}"]
        run(common)
        run([*TEST, *common, "--mode=meta_test"])
        tested = published_runs.settings([*TEST, *common])[0]
        stem = tested.of_weights(f"meta_{tested.eval_split}")
        result = json.loads((savedir / f"{stem}.json").read_text())
        lines.append(f"{name:14s} {plus_minus(result['accuracy'], result['interval'], sign='+-')}")
        found.append(paired.accuracies(savedir, stem))
    c = result["config"]
    task = f"{c['dataset']} {c['way']}-way {c['shot']}-shot, {result['episodes']} tasks"
    print(f"\n{task}: accuracy in per cent, 95 % interval")
    print("\n".join(lines))
    first, second = found
    if first is not None and second is not None and len(first) == len(second):
        print(difference(second - first))


def difference(paired_by_task: np.ndarray) -> str:
    """The line with the accuracy of Meta-dropout minus that of MAML, paired over the same tasks."""
    mean, half = paired_by_task.mean(), interval(paired_by_task)
    shown = "" if half is not None and abs(mean) > half else ": these tasks show no difference"
    return f"{'difference':14s} {plus_minus(mean, half, '+.2f', '+-')}, paired{shown}"


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    parser = program.Parser(argv, __doc__)
    parser.add_argument("--out", default="checkpoints/quickstart", type=paths.path, help="folder of the two savedirs")
    args, flags = parser.parse_known_args(argv[1:])
    return program.guard(argv[0], lambda: compare(args.out, flags))
