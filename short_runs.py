"""Trains every method for a few iterations on generated strokes and tests it on the same tasks: does each learn?

python short_runs.py [--out FOLDER] [--methods NAME ...] [-- FLAGS OF main.py]     settings: flags/short.flags

Then: python -m tf_metadrop.table FOLDER. Started again, it goes on where it was.
"""

import argparse
import pathlib
import sys

from quickstart import ROOT, run

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


def main() -> None:
    """Runs the program with the arguments of the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form, allow_abbrev=False)
    parser.add_argument("--out", default="checkpoints/short", type=pathlib.Path, help="folder of the savedirs")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="default: all")
    parser.add_argument("flags", nargs="*", help="flags of main.py, after --; they replace those of flags/short.flags")
    args = parser.parse_args()
    for name in args.methods:
        method, flags = METHODS[name], args.flags
        savedir = args.out / name
        common = [f"--flagfile={ROOT / 'flags/short.flags'}", *method, f"--savedir={savedir}", *flags]
        if not (savedir / "meta_test.json").exists():
            run(common)
            run([*common, "--mode=meta_test", *TEST])
        if name in ATTACKED and not (savedir / "attack.json").exists():
            run([*common, "--mode=attack", *ATTACK])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
