"""Meta-trains MAML and Meta-dropout on generated strokes, meta-tests both on the same tasks and prints the comparison.

python quickstart.py [--out FOLDER] [FLAGS OF main.py]     settings: flags/quickstart.flags, which FLAGS replace
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent
METHODS = {"MAML": "--maml", "Meta-dropout": "--nomaml"}
TEST = ["--n_test_mc_samp=10", "--n_test_iters=200"]


def run(arguments: list[str]) -> None:
    """Runs main.py, showing the command line; leaves with its exit code if it fails."""
    print(f"\n$ python main.py {' '.join(arguments)}", flush=True)
    code = subprocess.run([sys.executable, str(ROOT / "main.py"), *arguments]).returncode
    if code:
        sys.exit(code)


def main() -> None:
    """Runs the program with the arguments of the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form, allow_abbrev=False)
    parser.add_argument("--out", default="checkpoints/quickstart", help="folder of the two savedirs")
    args, flags = parser.parse_known_args()
    common = [f"--flagfile={ROOT / 'flags/quickstart.flags'}", *flags]
    lines = []
    for name, flag in METHODS.items():
        savedir = pathlib.Path(args.out) / name.lower()
        run([*common, flag, f"--savedir={savedir}"])
        run([*TEST, *common, flag, "--mode=meta_test", f"--savedir={savedir}"])
        result = json.loads((savedir / "meta_test.json").read_text())
        lines.append(f"{name:14s} {result['accuracy']:.2f} +- {result['interval']:.2f}")
    c = result["config"]
    task = f"{c['dataset']} {c['way']}-way {c['shot']}-shot, {result['episodes']} tasks"
    print(f"\n{task}: accuracy in per cent, 95 % interval")
    print("\n".join(lines))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
