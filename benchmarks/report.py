"""Writes RESULTS.md from RESULTS.json and PEERS.json."""

import json
import os
import pathlib

import numpy as np
from tabulate import tabulate

from tf_metadrop.errors import UsageError

LEGEND = """\
Each row is a new process that times the compiled step of `tf_metadrop.algorithm.steps` on random images. Median and
spread (slowest minus fastest) are over the timed steps, without two warm-up steps, the first of which compiles. Peak is
the peak resident memory of the process, including TensorFlow. GFLOP/s counts only the convolutions and matrix products
in the graph of the step (`tf_metadrop/algorithm/flops.py`). Peak matmul is the measured speed of 2048 x 2048 products
in the same precision and process, with one product per noise sample in parallel. Gap is the median time between two
steps, in which episodes are drawn, in per cent of the step."""


def load(path: pathlib.Path) -> dict:
    """Reads a JSON file; {} if there is none."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageError(f"{path} in the folder of --output was not written by this program: remove it.")
    return found


def save(path: pathlib.Path, content: dict) -> None:
    """Writes JSON atomically: after an interruption there is the old file or the new one."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(part, path)


def write(output: pathlib.Path) -> None:
    """Writes RESULTS.md beside RESULTS.json and, if it is there, PEERS.json."""
    (output / "RESULTS.md").write_text(markdown(load(output / "RESULTS.json"), load(output / "PEERS.json")))


def markdown(results: dict, peers: dict) -> str:
    """The report in Markdown.

    Args:
      results: see `suite.run`; {} leaves its part out.
      peers: comparisons by mode, see `peers.act`; {} leaves their part out.
    """
    parts = ["# Benchmarks", "Written by `benchmarks/report.py`; do not edit."]
    if results:
        parts += [origin(results), LEGEND]
        for table in results["tables"]:
            parts += [f"## {table['title']}", section(table, results["measurements"])]
    if peers:
        parts.append("## Comparison with plain TensorFlow and PyTorch")
        parts += [comparison(mode, found) for mode, found in peers.items()]
    return "\n\n".join(parts) + "\n"


def origin(found: dict) -> str:
    """Machine, versions, commit, date, command and seed."""
    machine = found["machine"]
    rows = [
        ("CPU", f"{machine['cpu']}, {machine['cores']} cores"),
        ("memory", f"{machine['memory_gib']} GiB"),
        ("GPU", ", ".join(machine["gpu"]) or "none"),
        ("versions", ", ".join(f"{name} {version}" for name, version in found["versions"].items())),
        *((name, found[name]) for name in ("commit", "date")),
        ("command", f"`{found['command']}`"),
        ("seed", found["seed"]),
    ]
    return _table(rows, ["", "measured with"])


def section(table: dict, measurements: dict) -> str:
    """A table of the suite; a scaling table is followed by the fitted lines."""
    rows = [{**row["labels"], **cells(measurements.get(row["flags"]))} for row in table["rows"]]
    header = list(dict.fromkeys(name for row in rows for name in row))
    text = _table([[row.get(name, "") for name in header] for row in rows], header)
    return f"{text}\n\n{scaling(table, measurements)}" if table["varied"] else text


def cells(measured: dict | None) -> dict:
    """The columns of one measurement; if it failed, the first column has the error."""
    if measured is None or "error" in measured:
        return {"median s": "not measured yet" if measured is None else measured["error"].replace("|", "/")}
    m = measured
    return {
        "median s": f"{m['median_s']:.4g}",
        "spread s": f"{m['spread_s']:.2g}",
        "first call s": f"{m['first_call_s']:.1f}",
        "peak MB": m["peak_rss_mb"],
        "examples/s": f"{m['examples_per_s']:.1f}",
        "GFLOP/s": f"{m['gflop_per_s']:.1f}",
        "% of peak matmul": f"{100 * m['gflop_per_s'] / m['matmul_gflop_per_s']:.1f}",
        "gap %": f"{100 * m['gap_s'] / m['median_s']:.2f}",
    }


def line(x, y) -> tuple[float, float, float]:
    """Least-squares straight line: slope, intercept and R^2 (1 if y is constant)."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    slope, intercept = np.polyfit(x, y, 1)
    rest, all_of_it = np.sum((y - slope * x - intercept) ** 2), np.sum((y - y.mean()) ** 2)
    return float(slope), float(intercept), float(1 - rest / all_of_it) if all_of_it else 1.0


def scaling(table: dict, measurements: dict) -> str:
    """Lines fitted to the times and the memory of a scaling table."""
    done = [(row["labels"][table["varied"]], measurements.get(row["flags"])) for row in table["rows"]]
    done = [(x, m) for x, m in done if m and "error" not in m]
    if len(done) < 3:
        return "Too few measurements for a straight line."
    x, name = [x for x, _ in done], table["varied"]
    seconds, memory = [m["median_s"] for _, m in done], [m["peak_rss_mb"] for _, m in done]
    slope, intercept, fit = line(x, seconds)
    steeper, start, memory_fit = line(x, memory)
    return (
        f"Time: {intercept:.3g} s + {slope:.3g} s * {name}, R^2 = {fit:.4f}. "
        f"Peak memory: {start:.0f} MB + {steeper:.3g} MB * {name}, R^2 = {memory_fit:.4f}; "
        f"from {name} {x[0]} to {x[-1]} it changes by {100 * (memory[-1] / memory[0] - 1):+.1f} %."
    )


def comparison(mode: str, found: dict) -> str:
    """One comparison of benchmarks.peers."""
    s, rows = found["settings"], []
    for name, median in found["median_s"].items():
        ratio, difference = found["ratio"].get(name, 1), found["largest_relative_difference"].get(name)
        rows.append(
            (name, f"{median:.4g}", f"{ratio:.3f}", found["peak_rss_mb"][name], f"{found['first_call_s'][name]:.1f}")
            + ("" if difference is None else f"{difference:.1e}",)
        )
    header = ["", "median s", "ours / this", "peak MB", "first call s", "relative difference from ours"]
    low = found["median_s"].get("ours, bfloat16")
    if low:
        header.insert(3, "ours in bfloat16 / this")
        rows = [
            (*row[:3], f"{low / median:.3f}", *row[3:])
            for row, median in zip(rows, found["median_s"].values(), strict=True)
        ]
    what = f"{s['dataset']} {s['way']}-way {s['shot']}-shot, query {s['query']}, metabatch {s['metabatch']}, "
    what += f"{s['n_steps']} inner steps"
    if mode == "meta_test":
        what += f", {s['n_test_mc_samp']} noise samples"
    compared = "losses" if mode == "meta_test" else "loss and gradient"
    note = f"The last column compares {compared} in float64, with the same weights, tasks and noise, on a small case."
    table = _table(rows, header)
    return f"### {mode.replace('_', '-')} step: {what}\n\n{origin(found)}\n\n{table}\n\n{note}"


def _table(rows, header) -> str:
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)
