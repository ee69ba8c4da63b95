"""`python -m benchmarks.step --suite`: the list of measurements, and a runner that uses a separate process for each."""

import json
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from tqdm import tqdm

from benchmarks import machine, report

OMNIGLOT = dict(dataset="omniglot", way=20, inner_lr=0.1)
MIMGNET = dict(dataset="mimgnet", way=5, inner_lr=0.01)
SETTINGS = (
    ("omniglot 20-way 1-shot", dict(OMNIGLOT, shot=1)),
    ("omniglot 20-way 5-shot", dict(OMNIGLOT, shot=5)),
    ("mimgnet 5-way 1-shot", dict(MIMGNET, shot=1)),
    ("mimgnet 5-way 5-shot", dict(MIMGNET, shot=5)),
)
METHODS = (("MAML", "maml"), ("Meta-dropout", "metadrop"))
PRECISIONS = ("float32", "bfloat16")
COMMON = dict(query=15, n_steps=5)
TRAIN = dict(COMMON, mode="meta_train", metabatch=4, second_order="exact")
TEST = dict(COMMON, mode="meta_test", metabatch=1)
SCALING = (  # quantity, its values, the other settings
    ("metabatch", (1, 2, 4, 8), TRAIN),
    ("n_steps", (1, 3, 5, 10), TRAIN),
    ("way", (5, 10, 20), TRAIN),
    ("n_test_mc_samp", (1, 10, 30, 60), TEST),
)


def tables(iters: int = 5, seed: int = 0) -> list[dict]:
    """The tables, each with its rows.

    Returns:
      Dicts with `title`, `varied` (the flag that varies in a scaling table, otherwise None) and `rows`. Rows are dicts
      with `labels` (column -> value) and `flags` (one string, which also identifies the measurement, so that a
      measurement in two tables is made only once).
    """

    def row(labels, settings):
        pairs = sorted({**settings, "iters": iters, "seed": seed}.items())
        return dict(labels=labels, flags=" ".join(f"--{name}={value}" for name, value in pairs))

    train = [
        row(
            {"task": task, "method": method, "gradient": order, "precision": precision},
            {**TRAIN, **settings, "noise_type": noise_type, "second_order": order, "precision": precision},
        )
        for task, settings in SETTINGS
        for method, noise_type in METHODS
        for order in ("exact", "tf1", "first")
        for precision in PRECISIONS[: None if order == "exact" else 1]
    ]
    test = [
        row(
            {"task": task, "method": method, "samples": samples, "precision": precision},
            {**TEST, **settings, "noise_type": noise_type, "n_test_mc_samp": samples, "precision": precision},
        )
        for task, settings in SETTINGS
        for (method, noise_type), samples in zip(METHODS, (1, 30), strict=True)
        for precision in PRECISIONS
    ]
    made = [
        dict(title="Meta-training step, metabatch 4", varied=None, rows=train),
        dict(title="Meta-test step, metabatch 1", varied=None, rows=test),
    ]
    for varied, values, fixed in SCALING:
        base = {**SETTINGS[0][1], **fixed, "noise_type": "metadrop", "precision": "float32"}
        step = "meta-test step" if fixed is TEST else "meta-training step, exact"
        rows = [row({varied: value}, {**base, varied: value}) for value in values]
        title = f"Scaling with {varied}: {step}, {SETTINGS[0][0]}, Meta-dropout"
        made.append(dict(title=title, varied=varied, rows=rows))
    return made


def run_one(flags: str) -> dict:
    """Makes one measurement in a new process; returns its result, or {"error": one line}."""
    command = [sys.executable, "-m", "benchmarks.step", *flags.split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=machine.ROOT)
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return dict(error=f"ended by {name}" + (", as when memory runs out" if name == "SIGKILL" else ""))
    try:
        if done.returncode == 0:
            return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        pass
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return dict(error=(lines[-1].strip()[:200] if lines else f"exit code {done.returncode}"))


def run(
    output: pathlib.Path,
    about: dict,
    command: str,
    to_run: list[dict],
    seed: int = 0,
    runner: Callable[[str], dict] = run_one,
) -> dict:
    """Makes the measurements that are not in RESULTS.json yet, and writes the file after each of them.

    Measurements of the same commit, machine and versions are kept, unless they failed or the commit does not identify
    the source (`-dirty`, `unknown`).

    Args:
      about: see `machine.about`.
      to_run: see `tables`.
      runner: returns the result of a measurement with these flags.
    Returns:
      The content of RESULTS.json.
    """
    path = output / "RESULTS.json"
    before = report.load(path)
    known = not about["commit"].endswith(("-dirty", "unknown"))
    same = known and all(before.get(name) == value for name, value in about.items())
    kept = {f: m for f, m in before.get("measurements", {}).items() if same and "error" not in m}
    results = {**about, "command": command, "seed": seed, "date": now(), "tables": to_run, "measurements": kept}
    wanted = list(dict.fromkeys(row["flags"] for table in to_run for row in table["rows"]))
    todo = [flags for flags in wanted if flags not in kept]
    print(f"{len(wanted)} measurements, {len(wanted) - len(todo)} of them already in {path}", flush=True)
    with tqdm(todo, unit="measurement") as progress:
        for flags in progress:
            progress.write(flags, file=sys.stderr)
            kept[flags] = {**runner(flags), "date": now()}
            report.save(path, results)
    report.save(path, results)
    report.write(output)
    return results


def now() -> str:
    """The time in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
