"""Training curves (loss and accuracy over iterations and time, several runs in one figure), and what a step costs."""

import pathlib
import re
import statistics
import sys

from tf_metadrop.errors import UsageError
from tf_metadrop.figures import style
from tf_metadrop.util import text

LOG = "meta_train.log"
SPLITS = {"meta_train": "-", "meta_val": "s--", "meta_test": "^:"}  # and their lines
NAMES = {"meta_train": "training episodes", "meta_val": "validation classes", "meta_test": "test classes"}
LINE = re.compile(r"(meta_\w+) *: episode (\d+), \(([\d.]+) secs\), cent (\S+), acc (\S+)")


class NoCurve(UsageError):
    """A log has no line of numbers yet, as that of a run that was killed early."""


def load_any(savedir: pathlib.Path, say: bool = False) -> dict:
    """`load`; nothing where there is no log, or none with numbers, of which it can `say` so on stderr."""
    try:
        return load(savedir) if (savedir / LOG).exists() else {}
    except NoCurve as error:
        if say:
            print(f"left out: {error}", file=sys.stderr)
        return {}


def load_all(runs: dict[str, pathlib.Path]) -> dict[str, dict]:
    """`load` of those savedirs {label: folder} that have curves; says which logs are left out."""
    found = {label: load_any(savedir, say=True) for label, savedir in runs.items()}
    return {label: curves for label, curves in found.items() if curves}


def load(savedir: pathlib.Path) -> dict:
    """A run's curves from its meta_train.log, this program's or the TF1 program's.

    Returns:
      {key of SPLITS: {"iter", "hours", "cent", "acc"}}, lists of one length: meta-iteration, hours since the start,
      mean query cross-entropy in nats, mean accuracy in [0, 1].
    Raises:
      UsageError: there is no such log, or it has a line that is none; NoCurve: it has no line of numbers.
    """
    path = savedir / LOG
    if not path.is_file():
        raise UsageError(f"{path} is not there: give the savedir of a run of --mode=meta_train.")
    log = text.read(path, lenient=True)
    metabatch = re.search(r"^metabatch: (\d+)$", log, re.MULTILINE)
    curves: dict[str, dict[str, list]] = {}
    for split, episode, seconds, cent, acc in LINE.findall(log) if metabatch else ():
        assert metabatch
        curve = curves.setdefault(split, dict(iter=[], hours=[], cent=[], acc=[]))
        try:
            values = int(episode) // int(metabatch[1]), float(seconds) / 3600, float(cent), float(acc)
        except (ValueError, ZeroDivisionError) as error:
            raise UsageError(f"{path} is not what --mode=meta_train writes ({error}): copy it here again.") from error
        for column, value in zip(curve.values(), values, strict=True):
            column.append(value)
    if not curves.keys() & SPLITS.keys():
        raise NoCurve(f"{path} has no line of losses and accuracies: train for --log_freq iterations at least.")
    return {split: curves[split] for split in SPLITS if split in curves}


def seconds_per_iteration(curves: dict) -> float | None:
    """Median over the logged stretches of training, evaluations and other things between them included; or None."""
    train = curves.get("meta_train", dict(iter=[], hours=[]))
    points = list(zip(train["iter"], train["hours"], strict=True))
    stretches = [(b[1] - a[1]) * 3600 / (b[0] - a[0]) for a, b in zip(points, points[1:], strict=False)]
    return statistics.median(stretches) if stretches else None


def draw(path: pathlib.Path, runs: dict[str, dict]) -> pathlib.Path:
    """Four panels, loss and accuracy over iterations and over time, of runs {label: `load`}."""
    from matplotlib.lines import Line2D

    figure = style.new_figure(2 * style.COLUMN, 4.4)
    panels = figure.subplots(2, 2, sharey="row", sharex="col")
    seen = {split for curves in runs.values() for split in curves}
    longest = max(hours for curves in runs.values() for curve in curves.values() for hours in curve["hours"])
    unit, factor = ("minutes", 60) if longest < 2 else ("hours", 1)
    colours = style.colours_of(runs)
    for label, curves in runs.items():
        for split, curve in curves.items():
            look = dict(color=colours[label], linewidth=1.1, markersize=4, markerfacecolor="white")
            hours = [factor * value for value in curve["hours"]]
            for (left, right), name, scale in zip(panels, ("cent", "acc"), (1, 100), strict=True):
                values = [scale * value for value in curve[name]]
                left.plot(curve["iter"], values, SPLITS[split], **look)
                right.plot(hours, values, SPLITS[split], **look)
    for axes in panels.flat:
        style.bare(axes)
    panels[0][0].set_ylabel("query cross-entropy (nats)", fontsize=style.SMALL)
    panels[1][0].set_ylabel("query accuracy (%)", fontsize=style.SMALL)
    panels[1][0].set_xlabel("meta-iteration", fontsize=style.SMALL)
    panels[1][1].set_xlabel(f"time ({unit})", fontsize=style.SMALL)
    handles = {label: Line2D([], [], color=colours[label]) for label in runs}
    if len(seen) > 1:
        look = dict(color="0.45", markersize=4, markerfacecolor="white")
        handles |= {
            NAMES[s]: Line2D([], [], linestyle=SPLITS[s].strip("s^"), marker=SPLITS[s].strip("-:"), **look)
            for s in SPLITS
            if s in seen
        }
    style.legend_below(figure, handles)
    return style.save(figure, path)


def draw_cost(path: pathlib.Path, runs: dict[str, dict]) -> pathlib.Path:
    """Bars of the seconds that an iteration took in each run {label: `load`}; see `seconds_per_iteration`."""
    seconds = {label: value for label, curves in runs.items() if (value := seconds_per_iteration(curves))}
    if not seconds:
        raise UsageError("no run has two logged iterations: train longer, or with a lower --log_freq.")
    figure = style.new_figure(style.COLUMN, 0.8 + 0.28 * len(seconds))
    axes = figure.subplots()
    bars = axes.barh(list(seconds), list(seconds.values()), color=style.SKY, height=0.65)
    axes.bar_label(bars, fmt="%.3g", padding=3, fontsize=style.SMALL)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("seconds per meta-iteration", fontsize=style.SMALL)
    style.bare(axes)
    axes.grid(visible=False, axis="y")
    return style.save(figure, path)
