"""Trains and tests the runs behind results/, several at a time; started again, it goes on where it was.

python reproduce.py [--workers N] [--out FOLDER] [--list] [PATTERN ...]     PATTERN: of names, as 'omniglot_5way1shot/*'

Every run is an ordinary savedir in --out (default checkpoints/results). What is small of a finished one is copied to
results/, from which `python -m tf_metadrop.table results --output results --preface results/learned.md` makes the
tables. Each of N workers has its share of the cores: two runs on a core each take less time than one after the other.
"""

import argparse
import fnmatch
import os
import pathlib
import queue
import shutil
import sys
import threading

from tf_metadrop import cli, experiments, sweeping
from tf_metadrop.errors import UsageError

ROOT = pathlib.Path(__file__).parent
KEPT = "meta_train.log", "metrics.jsonl", "timing.jsonl", "run.json"
KEPT_IF_THERE = "meta_test.json", "meta_test.csv", "meta_val.json", "meta_val.csv", "attack.json", "attack.csv"


def perform(run: experiments.Run, savedir: pathlib.Path, before) -> None:
    """Trains, tests and, where that is asked for, attacks; what was done already is left out."""
    savedir.mkdir(parents=True, exist_ok=True)
    (savedir / "run.flags").write_text(run.flag_file())
    common = [f"--flagfile={savedir / 'run.flags'}", f"--savedir={savedir}"]
    for made, flags in run.steps():
        if made is None or not (savedir / made).exists():
            sweeping.finish(sweeping.start([*common, *flags], savedir, before), savedir)
    publish(savedir, ROOT / "results" / run.name)


def publish(savedir: pathlib.Path, folder: pathlib.Path) -> None:
    """Copies what is small."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("run.flags", *KEPT, *KEPT_IF_THERE):
        if name in KEPT or (savedir / name).exists():
            shutil.copyfile(savedir / name, folder / name)


def shares(workers: int) -> list[set[int]]:
    """The cores of each worker."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return [set(cores[worker::workers]) or set(cores) for worker in range(workers)]


def work(todo: queue.SimpleQueue, out: pathlib.Path, cores: set[int], bar, failed: list[str]) -> None:
    """Performs runs until none are left."""
    pin = (lambda: os.sched_setaffinity(0, cores)) if cores else None
    while True:
        try:
            run = todo.get_nowait()
        except queue.Empty:
            return
        bar.write(f"{run.name}: started", file=sys.stdout)
        try:
            perform(run, out / run.name, pin)
            bar.write(f"{run.name}: {run.summary(out / run.name)}", file=sys.stdout)
        except UsageError as error:
            failed.append(run.name)
            bar.write(f"{run.name}: {error}", file=sys.stdout)
        bar.update(round(run.tflop()))


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="reproduce.py", description=__doc__, formatter_class=form, allow_abbrev=False)
    parser.add_argument("patterns", nargs="*", default=["*"], help="which runs; default: all")
    parser.add_argument("--out", default="checkpoints/results", type=pathlib.Path, help="folder of the savedirs")
    parser.add_argument("--workers", default=1, type=int, help="runs at a time")
    parser.add_argument("--list", action="store_true", help="print the runs and their commands, and do nothing")
    args = parser.parse_args(argv[1:])

    def act():
        from tqdm import tqdm

        runs = [run for run in experiments.all_runs() if any(fnmatch.fnmatch(run.name, p) for p in args.patterns)]
        if not runs or args.workers < 1:
            raise UsageError(
                f"{' '.join(args.patterns)} names no run: see --list."
                if not runs
                else f"--workers={args.workers} is too small: give at least 1."
            )
        if args.list:
            for run in runs:
                print(f"{run.name}: python main.py {' '.join(run.flags)}")
            return
        todo, failed = queue.SimpleQueue(), []
        for run in runs:
            todo.put(run)
        with tqdm(total=round(sum(run.tflop() for run in runs)), unit="TFLOP", mininterval=60) as bar:
            threads = [
                threading.Thread(target=work, args=(todo, args.out, cores, bar, failed))
                for cores in shares(args.workers)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if failed:
            raise UsageError(f"{', '.join(failed)} failed: see above; the same command tries again.")

    return cli.guard("reproduce.py", act)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
