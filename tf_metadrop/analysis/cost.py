"""What runs cost: time, memory and arithmetic, from their run.json."""

from tf_metadrop.errors import UsageError
from tf_metadrop.runs import record
from tf_metadrop.runs.finished import Run

LEGEND = (
    "hours: of training, evaluations and compilation included, on the cores named, whatever ran beside it; memory: "
    "the largest that the process took; GFLOP: of the convolutions and products in the graph of an iteration "
    "(tf_metadrop/algorithm/flops.py), TFLOP: of all of them."
)


def rows(runs: list[Run]) -> list[dict]:
    """Rows of the cost table, for those of the `finished.Run`s that say it.

    Raises:
      UsageError: a run.json is not what a training writes.
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
    """The row of a `finished.Run` that cost this."""
    machines = {f"{p['machine']['cores']} core(s) {p['machine']['cpu']}" for p in cost["parts"]}
    gflop = cost["gflop_per_iteration"]
    gpus = {gpu for part in cost["parts"] for gpu in part["machine"]["gpu"]}
    return {
        "task": run.config.task_name, "method": run.config.method, "gradient": run.gradient,
        "seed": run.seed, "iterations": cost["iterations"],
        "hours": f"{cost['seconds'] / 3600:.2f}",
        "s per iteration": f"{cost['seconds'] / cost['iterations']:.3f}",
        "memory (MB)": cost["peak_mb"], "GFLOP per iteration": f"{gflop:.1f}" if gflop else "",
        "TFLOP": f"{gflop * cost['iterations'] / 1000:.0f}" if gflop else "",
        "starts": len(cost["parts"]), "commit": ", ".join(sorted({part["commit"] for part in cost["parts"]})),
        "machine": "; ".join(sorted(machines | gpus)), "run": str(run.directory),
    }  # fmt: skip
