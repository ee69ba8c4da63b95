"""Trains the program's own methods for a few iterations on generated strokes, and tests them: does each learn?

metadrop short_runs [--out FOLDER] [--methods NAME ...] [-- FLAGS OF metadrop train]     settings: flags/short.flags

Then: metadrop tables FOLDER. Started again, it resumes where it stopped.
"""

import pathlib

from tf_metadrop.cli import program
from tf_metadrop.cli.quickstart import run
from tf_metadrop.experiments import published_runs
from tf_metadrop.util import paths

NOISE = "fixed_gaussian", "weight_gaussian", "independent_gaussian", "additive"
METHODS = {
    "maml": ["--noise_type=maml"],
    "metadrop": [],
    "deterministic": ["--noise_type=deterministic"],
    **{name: [f"--noise_type={name}"] for name in NOISE},
    **{f"{name}_report": [f"--noise_type={name}", "--noise_variant=report"] for name in NOISE},
    "metasgd": ["--noise_type=maml", "--inner=metasgd"],
    "metasgd_metadrop": ["--inner=metasgd"],
    "maml_manifold_mixup": ["--noise_type=maml", "--regularizer=manifold_mixup"],
    "maml_vib": ["--noise_type=maml", "--regularizer=vib"],
    "maml_info_dropout": ["--noise_type=maml", "--regularizer=info_dropout"],
    "maml_adv_inner_linf_0.02": ["--noise_type=maml", "--adv_train=inner"],
    "maml_adv_query_linf_0.02": ["--noise_type=maml", "--adv_train=query"],
}
TEST = ["--n_test_iters=200", "--n_test_mc_samp=5"]
ATTACK = ["--n_test_iters=10", "--n_test_mc_samp=5", "--metabatch=1", "--attack_steps=10"]
ATTACKED = "maml", "metadrop", "maml_adv_inner_linf_0.02", "maml_adv_query_linf_0.02"


def train_and_test(name: str, savedir: pathlib.Path, flags: list[str]) -> None:
    """Trains and tests one method, and attacks it if it is one of ATTACKED; skips steps done with the same flags."""
    common = ["--flagfile=flags/short.flags", *METHODS[name], f"--savedir={savedir}", *flags]
    run(common)  # resumes by itself
    split = published_runs.settings(common)[0].eval_split
    steps = {f"meta_{split}.json": [*common, "--mode=meta_test", *TEST]}
    if name in ATTACKED:
        steps["attack.json"] = [*common, "--mode=attack", *ATTACK]
    for made, arguments in steps.items():
        if not published_runs.has_made(savedir / made, arguments):
            run(arguments)


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    parser = program.Parser(argv, __doc__)
    parser.add_argument("--out", default="checkpoints/short", type=paths.path, help="folder of the savedirs")
    every = list(METHODS)
    named = f"methods, default: all ({', '.join(every)})"
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=every, metavar="NAME", help=named)
    parser.add_argument("flags", nargs="*", help="flags of main.py, after --; they replace those of flags/short.flags")
    args = parser.parse_args(argv[1:])

    def act() -> None:
        for name in args.methods:
            train_and_test(name, args.out / name, args.flags)

    return program.guard(argv[0], act)
