"""Training curves of one or more runs (loss and accuracy over iterations and time), and the cost of an iteration."""

import pathlib
import re
import statistics
import sys
from typing import Any

from tf_metadrop.config import config
from tf_metadrop.errors import UsageError
from tf_metadrop.figures import layout, style
from tf_metadrop.runs import tf1_checkpoint
from tf_metadrop.util import text

LOG = "meta_train.log"
SPLITS = {"meta_train": ("-", ""), "meta_val": (style.DASHES[1], "s"), "meta_test": (style.DASHES[2], "^")}  # lines
NAMES = {"meta_train": "training episodes", "meta_val": "validation classes", "meta_test": "test classes"}
OF_METHOD = "maml", "noise_type", "noise_variant", "inner", "regularizer"
LINE = re.compile(r"(meta_\w+) *: episode (\d+), \(([\d.]+) secs\), cent (\S+), acc (\S+)")


class NoCurve(UsageError):
    """A log has no line of numbers yet: the run was stopped early."""


def load_any(savedir: pathlib.Path, say: bool = False) -> dict:
    """`load`; an empty dict where there is no log, or none with numbers, which it can `say` on stderr."""
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


def methods(runs: dict[str, pathlib.Path]) -> dict[str, str]:
    """{label: method} of savedirs {label: folder}, as `Config.method` has it; without those whose log does not say."""
    found = {}
    for label, savedir in runs.items():
        path = savedir / LOG
        told = tf1_checkpoint.header(text.read(path, lenient=True)) if path.is_file() else {}
        texts = {name: told[name] for name in OF_METHOD if name in told}
        settings = config.of_texts(texts)
        if texts and settings.keys() == texts.keys():  # else it has a method that is not registered here
            found[label] = config.Config(dataset="strokes", **settings).method
    return found


def load(savedir: pathlib.Path) -> dict:
    """A run's curves from its meta_train.log, this program's or the TF1 program's.

    Returns:
      {key of SPLITS: {"iter", "hours", "cent", "acc"}}, lists of one length: meta-iteration, hours since the start,
      mean query cross-entropy in nats, mean accuracy in [0, 1].
    Raises:
      UsageError: there is no such log, or one of its lines is broken; NoCurve: it has no line of numbers.
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
        raise NoCurve(f"{path} has no line of losses and accuracies: train for at least --log_freq iterations.")
    return {split: curves[split] for split in SPLITS if split in curves}


def seconds_per_iteration(curves: dict) -> float | None:
    """Median over the intervals between logged iterations, which include evaluations; None if there is no interval."""
    train = curves.get("meta_train", dict(iter=[], hours=[]))
    points = list(zip(train["iter"], train["hours"], strict=True))
    stretches = [(b[1] - a[1]) * 3600 / (b[0] - a[0]) for a, b in zip(points, points[1:], strict=False)]
    return statistics.median(stretches) if stretches else None


def draw(path: pathlib.Path, runs: dict[str, dict], methods: dict[str, str] | None = None) -> pathlib.Path:
    """Loss and accuracy over iterations and over time, of runs {label: `load`}.

    Two rows of panels; two more for every few runs, so that no panel has too many lines.

    Args:
      methods: `methods` of the runs, which decide the colours. A run without one is drawn as an unknown method.
    """
    colours = colours_of(list(runs), methods or {})
    seen = [split for split in SPLITS if any(split in curves for curves in runs.values())]
    pieces = layout.chunks(list(runs), layout.MOST // len(seen))
    figure = layout.new_figure(2 * layout.COLUMN, 0.4 + 3.8 * len(pieces))
    grid = figure.subplots(2 * len(pieces), 2, sharex="col", squeeze=False)
    longest = max(hours for curves in runs.values() for curve in curves.values() for hours in curve["hours"])
    unit, factor = ("minutes", 60) if longest < 2 else ("hours", 1)
    for loss, accuracy, labels in zip(grid[::2], grid[1::2], pieces, strict=True):
        for panels, name, scale, words in (
            (loss, "cent", 1, "Query cross-entropy (nats)"), (accuracy, "acc", 100, "Query accuracy (%)"),
        ):  # fmt: skip
            left, right = panels
            right.sharey(left)
            right.tick_params(labelleft=False)
            left.set_ylabel(words, fontsize=layout.SMALL)
            for label in labels:
                for split, curve in runs[label].items():
                    look, values = look_of(split, colours[label]), [scale * value for value in curve[name]]
                    left.plot(curve["iter"], values, **look)
                    right.plot([factor * value for value in curve["hours"]], values, **look)
    for axes in grid.flat:
        layout.bare(axes)
    layout.count_iterations(grid[-1][0], 6)
    grid[-1][0].set_xlabel(layout.ITERATION, fontsize=layout.SMALL)
    grid[-1][1].set_xlabel(f"Time ({unit})", fontsize=layout.SMALL)
    layout.legend_below(figure, handles(colours, seen))
    return layout.save(figure, path)


def look_of(split: str, colour: str) -> dict[str, Any]:
    """The line of a split."""
    line, marker = SPLITS[split]
    return dict(color=colour, linestyle=line, marker=marker, linewidth=1.2, markersize=4, markerfacecolor=style.PAPER)


def colours_of(labels: list[str], methods: dict[str, str]) -> dict[str, str]:
    """{label: colour}: that of its method; another shade for each further run of a method."""
    of = {label: methods.get(label, label) for label in labels}
    bases = [style.base(method) for method in of.values()]
    return {label: style.shade(of[label], bases[:i].count(bases[i])) for i, label in enumerate(labels)}


def handles(colours: dict[str, str], splits: list[str]) -> dict[str, Any]:
    """The legend {label: handle}: the runs, and where there are several splits, their lines in grey."""
    from matplotlib.lines import Line2D

    found = {label: Line2D([], [], color=colour) for label, colour in colours.items()}
    if len(splits) > 1:
        found |= {NAMES[split]: Line2D([], [], **look_of(split, style.GREY)) for split in splits}
    return found


def draw_cost(path: pathlib.Path, runs: dict[str, dict]) -> pathlib.Path:
    """Bars of the seconds that an iteration took in each run {label: `load`}; see `seconds_per_iteration`."""
    seconds = {label: value for label, curves in runs.items() if (value := seconds_per_iteration(curves))}
    if not seconds:
        raise UsageError("no run has two logged iterations: train longer, or with a lower --log_freq.")
    figure = layout.new_figure(layout.COLUMN, 0.8 + 0.28 * len(seconds))
    axes = figure.subplots()
    bars = axes.barh(list(seconds), list(seconds.values()), color=style.SKY, height=0.65)
    axes.bar_label(bars, fmt="%.3g", padding=3, fontsize=layout.SMALL)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("Seconds per meta-iteration", fontsize=layout.SMALL)
    layout.bare(axes)
    axes.grid(visible=False, axis="y")
    return layout.save(figure, path)
