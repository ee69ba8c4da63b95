"""The cost of runs: time, memory and arithmetic, from their run.json."""

from tf_metadrop.errors import UsageError
from tf_metadrop.figures import curves
from tf_metadrop.runs import record
from tf_metadrop.runs.finished import Run

LEGEND = (
    "hours: the time of the training, with evaluations and compilation, on the named cores; other programs may have "
    "run at the same time, and pauses count. median s: of an iteration, over the stretches between two lines of the "
    "log, so that pauses do not count. memory: the peak memory of the process. GFLOP: the arithmetic of convolutions "
    "and matrix products in the graph of an iteration (tf_metadrop/algorithm/flops.py). TFLOP: the same for all "
    "iterations."
)


def rows(runs: list[Run]) -> list[dict]:
    """Rows of the cost table, for each `finished.Run` that has a run.json.

    Raises:
      UsageError: a run.json was not written by a training.
    """
    found = []
    for run in runs:
        try:
            if cost := record.read(run.directory):
                found.append(row(run, cost))
        except (KeyError, TypeError, AttributeError) as error:
            path = run.directory / record.FILE
            raise UsageError(f"{path} is not what --mode=meta_train writes ({error}): copy it here again.") from error
    return sorted(found, key=lambda row: [str(row[name]) for name in ("task", "method", "gradient", "seed")])


def row(run: Run, cost: dict) -> dict:
    """The row of a `finished.Run`; `cost` is the content of its run.json."""
    machines = {f"{p['machine']['cores']} core(s) {p['machine']['cpu']}" for p in cost["parts"]}
    gflop = cost["gflop_per_iteration"]
    median = curves.seconds_per_iteration(curves.load_any(run.directory))
    gpus = {gpu for part in cost["parts"] for gpu in part["machine"]["gpu"]}
    return {
        "task": run.config.task_name, "method": run.config.method, "gradient": run.gradient,
        "seed": run.seed, "iterations": cost["iterations"],
        "hours": f"{cost['seconds'] / 3600:.2f}",
        "s per iteration": f"{cost['seconds'] / cost['iterations']:.3f}",
        "median s": "" if median is None else f"{median:.3f}",
        "memory (MB)": cost["peak_mb"], "GFLOP per iteration": f"{gflop:.1f}" if gflop else "",
        "TFLOP": f"{gflop * cost['iterations'] / 1000:.0f}" if gflop else "",
        "starts": len(cost["parts"]), "commit": ", ".join(sorted({part["commit"] for part in cost["parts"]})),
        "machine": "; ".join(sorted(machines | gpus)), "run": str(run.directory),
    }  # fmt: skip
