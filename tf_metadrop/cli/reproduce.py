"""Trains and tests the runs behind results/, several at a time; started again, it resumes where it stopped.

metadrop reproduce [--workers N] [--out FOLDER] [--list] [PATTERN ...]     PATTERN: run names, as 'omniglot_5way1shot/*'
metadrop reproduce --queue ...                     the long trainings of flags/results/queue.yaml instead
metadrop reproduce --missing ...                   only runs whose results are not in results/ yet
metadrop reproduce --queue --keep_unfinished       copies the states of unfinished runs to checkpoints/unfinished

Every run is an ordinary savedir in --out (default checkpoints/results). When a run is finished, its small files are
copied to results/; `metadrop tables` makes the pages there from them. The weights of some runs are copied to
checkpoints/trained/, in the TF1 program's format. Each of N workers has its share of the cores: two runs at the same
time, each on one core, take less time than one after the other on two cores. A run that another machine left unfinished
resumes from its state in checkpoints/unfinished.
"""

import collections
import fnmatch
import os
import pathlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable
from typing import Any

from tf_metadrop.cli import program
from tf_metadrop.errors import UsageError
from tf_metadrop.experiments import published_runs
from tf_metadrop.runs import record, tf1_checkpoint
from tf_metadrop.util import paths, subprocesses

ROOT = pathlib.Path()  # the current folder, which must be a checkout
KEPT = "meta_train.log", "metrics.jsonl", "timing.jsonl", "run.json"
TESTS = "meta_test", "meta_test_best", "meta_test_support", "meta_val", "attack"
KEPT_IF_THERE = [f"{stem}{suffix}" for stem in TESTS for suffix in (".json", ".csv")]
UNFINISHED = "state.npz", "best.npz", *KEPT  # the state first: a training may go on, and longer logs do no harm
LOOK = 30  # seconds between two looks at how far the trainings are


class Jobs:
    """A queue of runs, and the processes of those in progress; a run is attacked after all trainings and tests.

    Args:
      runs: the runs, in the order in which they start.
      out: folder of the savedirs.
      bar: a tqdm progress bar, whose `write` prints messages.
    """

    def __init__(self, runs: list[published_runs.Run], out: pathlib.Path, bar: Any):
        self._waiting = collections.deque((run, False) for run in runs)  # (run, whether to attack it)
        self._out, self._bar = out, bar
        self._processes: dict[tuple[str, bool], subprocess.Popen] = {}
        self._stopped = False
        self.failed: list[str] = []

    def work(self, cores: set[int]) -> None:
        """Performs jobs on these cores until none is left."""
        while True:
            try:
                run, attack = self._waiting.popleft()
            except IndexError:
                return
            self._bar.write(f"{run.name}: {'attack' if attack else 'start'}ed", file=sys.stdout)
            try:
                self._perform(run, attack, cores)
                said = run.summary(self._out / run.name)
                if run.attacked and not attack:
                    self._waiting.append((run, True))
            except Exception as error:  # any error, as a full disk: it must not stop the other runs
                self.failed.append(run.name)
                said = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
            self._bar.write(f"{run.name}: {said}", file=sys.stdout)

    def _perform(self, run: published_runs.Run, attack: bool, cores: set[int]) -> None:
        """Trains and tests a run, or attacks the trained model; steps that are done are skipped."""
        savedir = self._out / run.name
        savedir.mkdir(parents=True, exist_ok=True)
        left = unfinished(run)
        if where_it_is(run, self._out) == left:
            copy(left, savedir, UNFINISHED)
        (savedir / "run.flags").write_text(run.flag_file())
        common = [f"--flagfile={savedir / 'run.flags'}", f"--savedir={savedir}"]
        pin = (lambda: os.sched_setaffinity(0, cores)) if cores else None
        for made, flags in run.steps(attack):
            if self._stopped:
                raise UsageError("stopped; the same command resumes from here.")
            if made is None or not published_runs.has_made(savedir / made, [*common, *flags]):
                process = self._processes[run.name, attack] = subprocesses.start([*common, *flags], savedir, pin)
                subprocesses.finish(process, savedir)
        publish(savedir, ROOT / "results" / run.name)
        shutil.rmtree(left, ignore_errors=True)
        if run.weights:
            publish_weights(savedir, ROOT / "checkpoints" / "trained" / run.name)

    def stop(self) -> None:
        """Starts no more jobs, and terminates those in progress, which save their states."""
        self._stopped = True
        self._waiting.clear()
        for process in [*self._processes.values()]:
            process.terminate()  # has no effect on a process that has ended


def publish(savedir: pathlib.Path, folder: pathlib.Path) -> None:
    """Copies the small files of a run."""
    copy(savedir, folder, ("run.flags", *KEPT, *KEPT_IF_THERE))


def copy(source: pathlib.Path, folder: pathlib.Path, names: Iterable[str]) -> None:
    """Copies the files of these names that exist."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (source / name).exists():
            shutil.copyfile(source / name, folder / name)


def unfinished(run: published_runs.Run) -> pathlib.Path:
    """The folder in which the repository keeps the state of an unfinished run."""
    return ROOT / "checkpoints" / "unfinished" / run.name


def where_it_is(run: published_runs.Run, out: pathlib.Path) -> pathlib.Path:
    """The folder with the state from which a run resumes: its savedir, or `unfinished`."""
    savedir, left = out / run.name, unfinished(run)
    return left if left.exists() and not (savedir / "state.npz").exists() else savedir


def published(run: published_runs.Run) -> bool:
    """Whether results/ has all results of a run, made with its settings."""
    folder = ROOT / "results" / run.name
    made = [(name, flags) for name, flags in [*run.steps(), *run.steps(attack=True)] if name]
    last = record.read(folder).get("iterations", 0) - 1
    return all(published_runs.has_made(folder / name, [*run.arguments, *flags], last) for name, flags in made)


def keep_unfinished(runs: list[published_runs.Run], out: pathlib.Path) -> None:
    """Copies the states of unfinished trainings to their `unfinished` folders, and replaces what is there."""
    for run in runs:
        savedir = out / run.name
        if (savedir / "state.npz").exists() and run.state(savedir) != "done":
            copy(savedir, unfinished(run), UNFINISHED)
            print(f"{run.name}: kept, {run.state(savedir)}")


def publish_weights(savedir: pathlib.Path, folder: pathlib.Path) -> None:
    """Copies the weights of a run, and the log with its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (
        "meta_train.log",
        "run.json",
        "checkpoint",
        *[tf1_checkpoint.PREFIX + suffix for suffix in tf1_checkpoint.SUFFIXES],
    ):
        shutil.copyfile(savedir / name, folder / name)


def shares(workers: int) -> list[set[int]]:
    """The cores of each worker."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return [set(cores[worker::workers]) or set(cores) for worker in range(workers)]


def perform(runs: list[published_runs.Run], out: pathlib.Path, workers: int) -> None:
    """Performs all these runs.

    Raises:
      UsageError: a run failed.
    """
    from tqdm import tqdm

    def images() -> int:
        return sum(run.n_images_so_far(where_it_is(run, out)) for run in runs)

    total = sum(run.n_images() for run in runs)
    with tqdm(total=total, initial=images(), unit=" images", unit_scale=True, smoothing=0) as bar:
        found = Jobs(runs, out, bar)
        threads = [threading.Thread(target=found.work, args=(cores,)) for cores in shares(workers)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(LOOK)
                    bar.update(images() - bar.n)
        finally:
            found.stop()
    if found.failed:
        raise UsageError(f"{', '.join(found.failed)} failed: see above; the same command tries again.")


def line(run: published_runs.Run, out: pathlib.Path) -> str:
    """The line of a run in --list: its name, the expected hours and the state of a long run, and its command."""
    about = ""
    if run.hours:
        state = run.state(where_it_is(run, out))
        about = f" ({run.hours:g} h, {'published' if state == 'waiting' and published(run) else state})"
    return f"{run.name}{about}: python main.py {' '.join(run.flags)}"


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    parser = program.Parser(argv, __doc__)
    parser.add_argument("patterns", nargs="*", default=["*"], help="patterns of run names; default: all runs")
    parser.add_argument("--out", default="checkpoints/results", type=paths.path, help="folder of the savedirs")
    parser.add_argument("--workers", default=1, type=int, help="number of runs at a time")
    parser.add_argument("--queue", action="store_true", help="the long trainings of flags/results/queue.yaml")
    parser.add_argument("--missing", action="store_true", help="only runs whose results are not in results/ yet")
    parser.add_argument(
        "--keep_unfinished", action="store_true", help="copy states to checkpoints/unfinished, and do nothing else"
    )
    parser.add_argument("--list", action="store_true", help="print the runs and their commands, and do nothing else")
    args = parser.parse_args(argv[1:])

    def act() -> None:
        every = published_runs.queue() if args.queue else published_runs.all_runs()
        runs = [run for run in every if any(fnmatch.fnmatch(run.name, p) for p in args.patterns)]
        if args.workers < 1:
            raise UsageError(f"--workers={args.workers} is too small: give at least 1.")
        if not runs:
            raise UsageError(f"{' '.join(args.patterns)} names no run: see --list.")
        if args.missing:
            runs = [run for run in runs if not published(run)]
        if not runs:
            print("nothing is missing: results/ has the results of all these runs")
        elif args.list:
            print("\n".join(line(run, args.out) for run in runs))
        elif args.keep_unfinished:
            keep_unfinished(runs, args.out)
        else:
            perform(runs, args.out, args.workers)

    return program.guard(argv[0], act)
