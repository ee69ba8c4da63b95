"""Draws figures of runs from the files in their savedirs.

python plot.py --savedir checkpoints/try
python plot.py --savedir checkpoints/maml --savedir checkpoints/metadrop --figure=curves --out=figures

  boundary    decision boundaries from export.pkl, this program's or the TF1 program's: plot/step{k}/{i}.png in the
              savedir for every inner step k and task i, and plot/steps/{i}.png with all steps of a task
  noise       features under repeated noise: plot/noise/layer{1,2}.png and .gif in the savedir
  curves      loss and accuracy over iterations and time, all runs in one figure: curves.png
  cost        seconds per iteration of each run: cost.png
  robustness  accuracy against the radius of the attack, with the paper's curves: robustness_<task>.png

Without --figure it draws every figure for which the savedirs have files, except noise, which needs the data set. If W&B
or TensorBoard tracked the training, the figures are logged there too (--wandb); a figure of several runs is logged to
the first run.
"""

import pathlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from absl import flags

from tf_metadrop.analysis import table_figures
from tf_metadrop.cli import program
from tf_metadrop.config import config
from tf_metadrop.errors import UsageError
from tf_metadrop.figures import boundary, curves
from tf_metadrop.runs import finished
from tf_metadrop.runs.wandb_run import Wandb
from tf_metadrop.util import environment, paths, provenance
from tf_metadrop.util.progress import progress
from tf_metadrop.util.quiet import importing_tensorflow

NEEDS = {"boundary": "export.pkl", "curves": curves.LOG, "cost": curves.LOG, "robustness": "attack.json"}
KINDS = (*NEEDS, "noise")


def define_flags(values: flags.FlagValues) -> None:
    """Declares the program's flags."""
    flags.DEFINE_multi_string("savedir", [], "A run's savedir; may be given several times.", flag_values=values)
    flags.DEFINE_multi_enum("figure", [], KINDS, "What to draw; may be given several times.", flag_values=values)
    out = "Folder of curves, cost and robustness; default: plot/ in the first savedir."
    flags.DEFINE_string("out", None, out, flag_values=values)
    data_dir = "Folder of the data sets, for noise; default: the run's."
    flags.DEFINE_string("data_dir", config.Config().data_dir, data_dir, flag_values=values)
    modes = "auto", "online", "offline", "disabled"
    flags.DEFINE_enum("wandb", "auto", modes, "W&B mode, for runs that W&B tracked.", flag_values=values)
    flags.DEFINE_integer("seed", 0, "Seed of t-SNE and of the noise.", 0, 2**32 - 1, flag_values=values)


def act(values: flags.FlagValues) -> None:
    """Draws what the flags ask for, and prints what was written."""
    folders = [paths.path(folder) for folder in values.savedir]
    if not folders:
        raise UsageError("--savedir is missing: give the folder of a run.")
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"--savedir={folder} is not a folder: give the folder of a run.")
    runs = dict(zip(labels(folders), folders, strict=True))
    having = lambda kind: {label: folder for label, folder in runs.items() if (folder / NEEDS[kind]).exists()}
    kinds = list(dict.fromkeys(values.figure)) or [kind for kind in NEEDS if having(kind)]
    if not kinds:
        files = ", ".join(dict.fromkeys(NEEDS.values()))
        raise UsageError(f"{folders[0]} has none of {files}: train, export or attack first.")
    out, some = paths.path(values.out) if values.out else folders[0] / "plot", False
    logged = {} if values.figure else curves.load_all(runs)
    for kind in kinds:
        for drawn in draw(kind, runs if values.figure else having(kind), logged, out, values):
            some = True
            for line in drawn.said:
                print(f"wrote {line}")
            track(drawn, values.wandb)
    if not some:
        raise UsageError(f"{folders[0]} has nothing to draw yet: train further, export or attack.")


def labels(folders: list[pathlib.Path]) -> list[str]:
    """The folders' names, or the whole path where two folders have the same name."""
    names = [folder.resolve().name for folder in folders]
    return [str(folder) if names.count(name) > 1 else name for folder, name in zip(folders, names, strict=True)]


class Drawn(NamedTuple):
    """Figures that were drawn, and the savedir that they belong to."""

    folder: pathlib.Path  # the savedir whose W&B run takes them
    paths: list[pathlib.Path]  # the figures to log there
    said: list[Any]  # the lines to print about them


def draw(
    kind: str, runs: dict[str, pathlib.Path], logged: dict, out: pathlib.Path, values: flags.FlagValues
) -> Iterator[Drawn]:
    """Draws one kind of figure; without --figure, curves and cost are drawn from what was read before, `logged`."""
    if kind in ("boundary", "noise"):
        of_one = draw_boundaries if kind == "boundary" else draw_noise
        yield from (of_one(folder, values) for folder in runs.values())
        return
    if kind == "robustness":
        paths = draw_robustness(runs.values(), out)
    else:
        of_all = curves.draw if kind == "curves" else curves.draw_cost
        if values.figure:
            loaded = {label: curves.load(folder) for label, folder in runs.items()}
        else:
            loaded, enough = logged, bool if kind == "curves" else curves.seconds_per_iteration
            if not any(map(enough, loaded.values())):
                return
        named = (curves.methods(runs),) if kind == "curves" else ()
        paths = [of_all(out / f"{kind}.png", loaded, *named)]
    yield Drawn(next(iter(runs.values())), paths, paths)


def track(drawn: Drawn, mode: str) -> None:
    """Logs the figures to the W&B run and to the TensorBoard files of the savedir, if it has them."""
    kept, events = (drawn.folder / Wandb.KEPT).exists(), (drawn.folder / "tensorboard").is_dir()
    if not (kept or events):
        return
    settings = config.Config(savedir=str(drawn.folder), wandb=mode if kept else "disabled", tensorboard=events)
    tracker: Any = None
    if events:
        with importing_tensorflow():
            from tf_metadrop.runs.trackers import Trackers
        tracker = Trackers(drawn.folder, settings, "plot")
    else:
        tracker = Wandb(drawn.folder, settings)
    kind = {path: path.parent.name if path.parent.name in ("steps", "noise") else "plot" for path in drawn.paths}
    tracker.figures({f"figures/{kind[path]}/{path.name}": path for path in drawn.paths})
    tracker.finish()


def draw_boundaries(folder: pathlib.Path, values: flags.FlagValues) -> Drawn:
    """Draws the decision boundaries of a run: see boundary.py."""
    paths = boundary.draw(folder, values.seed, lambda tasks: progress(tasks, "task"))
    rows = [path for path in paths if path.parent.name == "steps"]
    return Drawn(folder, rows, [f"{len(paths) - len(rows)} figures and {len(rows)} rows to {folder / 'plot'}"])


def draw_noise(folder: pathlib.Path, values: flags.FlagValues) -> Drawn:
    """Draws the features of a run under repeated noise: see modes/noise_maps.py."""
    environment.before_tensorflow(-1)  # a few small images
    with importing_tensorflow():
        from tf_metadrop.modes import noise_maps
    settings = config.Config(
        mode="export", savedir=str(folder), data_dir=values.data_dir, seed=values.seed, other_images=True
    )  # nothing is measured
    given = {"data_dir"} if values["data_dir"].present else set()  # else the run's own
    paths = noise_maps.draw(settings, {"seed", "savedir", *given})
    return Drawn(folder, paths, paths)


def draw_robustness(folders: Collection[pathlib.Path], out: pathlib.Path) -> list[pathlib.Path]:
    """Draws one figure for each task that was attacked."""
    for folder in folders:
        if not (folder / NEEDS["robustness"]).exists():
            raise UsageError(f"{folder} was not attacked: run `{provenance.as_typed('attack', savedir=folder)}` first.")
    found = [finished.load(folder) for folder in folders]
    out.mkdir(parents=True, exist_ok=True)
    return list(table_figures.draw_attacks(found, out).values())


def main(argv: Sequence[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    return program.run(argv, __doc__, define_flags, act)
