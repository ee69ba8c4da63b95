"""Runs a sweep with Optuna: each trial is an ordinary run with its own savedir.

metadrop sweep flags/sweeps/omniglot_inner_lr.yaml
metadrop sweep FILE --storage=postgresql://user@host/db     on any number of machines that share the checkpoints folder

FILE is a sweep definition of W&B (method grid, random or bayes; `wandb sweep FILE` takes the same file). Started again,
the sweep resumes where it stopped, and retries once what failed. Several processes of the same sweep share the trials.
A trial that is worse than the median of the others at the same iteration is stopped (--no_pruning lets it run). The
best trial is chosen by the accuracy on validation classes (--eval_split=val); the figure and the last line of the
output also show its accuracy on test classes. The sweep writes results.csv, sweep.png and the trials' savedirs to --out
(default checkpoints/sweeps/<name of FILE>).
"""

import pathlib

from tf_metadrop.cli import program
from tf_metadrop.errors import UsageError
from tf_metadrop.experiments import sweep, sweep_definition
from tf_metadrop.util import paths


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    parser = program.Parser(argv, __doc__)
    parser.add_argument("file", type=paths.path, help="sweep definition (YAML)")
    parser.add_argument("--out", type=paths.path, help="folder of the results and the savedirs")
    parser.add_argument("--storage", help="database URL of the study; default: study.db (SQLite) in --out")
    parser.add_argument(
        "--n_trials", type=int, help="maximum number of new trials; default: the whole grid, otherwise 20 in all"
    )
    parser.add_argument("--no_pruning", action="store_true", help="train every trial to its end")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random and the TPE sampler")
    parser.epilog = "Give flags of metadrop train for every trial at the end, after --"
    end = argv.index("--") if "--" in argv else len(argv)  # argparse accepts no words after -- if options came before
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
