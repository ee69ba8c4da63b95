"""Runs a sweep on Optuna: each trial is an ordinary run with its savedir, chosen on val, reported on test.

metadrop sweep flags/sweeps/omniglot_inner_lr.yaml
metadrop sweep FILE --storage=postgresql://user@host/db     on any number of machines that share the checkpoints folder

FILE is a sweep definition of W&B (method grid, random or bayes; `wandb sweep FILE` takes the same). Interrupted or
started again it goes on where it was, and tries what failed once more; started several times at once, the processes
share the trials. Trials that do worse than the median of the others at the same iteration are stopped (--no_pruning
lets them run). Models are compared by their accuracy on validation classes (--eval_split=val); the figure and the last
line show that on the test classes. Writes results.csv, sweep.png and the trials' savedirs into --out (default
checkpoints/sweeps/<name of FILE>).
"""

import argparse
import pathlib

from tf_metadrop.cli import program
from tf_metadrop.errors import UsageError
from tf_metadrop.experiments import sweep, sweep_definition
from tf_metadrop.util import paths


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=argv[0], description=__doc__, formatter_class=form, allow_abbrev=False)
    parser.add_argument("file", type=paths.path, help="sweep definition (YAML)")
    parser.add_argument("--out", type=paths.path, help="folder of the results and the savedirs")
    parser.add_argument("--storage", help="of the study, a database URL; default: study.db (SQLite) in --out")
    parser.add_argument(
        "--n_trials", type=int, help="at most so many new ones; default: the whole grid, 20 in all otherwise"
    )
    parser.add_argument("--no_pruning", action="store_true", help="train every trial to its end")
    parser.add_argument("--seed", type=int, default=0, help="of the random and the TPE sampler")
    parser.epilog = "Flags of metadrop train for every trial: at the end, after --"
    end = argv.index("--") if "--" in argv else len(argv)  # argparse takes none after -- once options came between
    args, flags = parser.parse_args(argv[1:end]), argv[end + 1 :]
    out = args.out or pathlib.Path("checkpoints/sweeps") / args.file.stem

    def act() -> None:
        if not 0 <= args.seed < 2**32:
            raise UsageError(f"--seed={args.seed} is impossible: give 0 or more, and less than 2**32.")
        if args.n_trials is not None and args.n_trials < 1:
            raise UsageError(f"--n_trials={args.n_trials} is impossible: give at least 1, or leave it out.")
        definition = sweep_definition.load(args.file, flags)
        sweep.run(definition, out, args.storage, args.n_trials, not args.no_pruning, args.seed)

    return program.guard(argv[0], act)
