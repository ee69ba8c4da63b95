"""Decision boundaries along the inner loop, from export.pkl (docs/reference/tf1_behaviour.md, "Files it writes").

First axis: the distance from the boundary between the two classes, along its unit normal. The boundary is the vertical
line at 0. Second axis: t-SNE of the features without that direction.
"""

import pathlib
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from tf_metadrop.errors import UsageError
from tf_metadrop.figures import layout, style
from tf_metadrop.util import provenance, safe_pickle

Arrays: TypeAlias = dict[str, np.ndarray]  # a task of export.pkl, or points in the plane, by name

ARRAYS = {"htr": 3, "hte": 3, "w": 3, "b": 2, "ytr": 1, "yte": 1}  # and how many axes each has
ACROSS, UP = "Distance from the decision boundary", "t-SNE of the rest"


def load(path: pathlib.Path) -> list[Arrays]:
    """The tasks of an export.pkl, this program's or the TF1 program's; see `export_features` for the arrays.

    Raises:
      UsageError: the file is missing, or holds something else. No code in the pickle is run.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not there: run `{provenance.as_typed('export', savedir=path.parent)}` first.")
    fix = f"export again with `{provenance.as_typed('export', savedir=path.parent)}`"
    try:
        tasks = safe_pickle.load(path)
    except ValueError as error:
        raise UsageError(f"{path} cannot be loaded ({error}): {fix}.") from error
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) for task in tasks):
        raise UsageError(f"{path} is not a list of tasks: {fix}.")
    tasks = [{str(name): array for name, array in task.items()} for task in tasks]
    for number, task in enumerate(tasks):
        if wrong := problem(task):
            raise UsageError(f"{path}, task {number}: {wrong}: {fix}.")
    return tasks


def problem(task: Arrays) -> str | None:
    """What is wrong with a task's arrays; None if nothing is."""
    for name, rank in ARRAYS.items():
        array = task.get(name)
        if not isinstance(array, np.ndarray) or array.ndim != rank or array.dtype.kind not in "iuf" or not array.size:
            return f"{name} is not an array of numbers with {rank} axes"
        if not np.isfinite(array).all():
            return f"{name} is not finite"
    steps, support, features = task["htr"].shape
    query = task["hte"].shape[1]
    expected: dict[str, tuple[int, ...]] = dict(
        hte=(steps, query, features), w=(steps, features, 2), b=(steps, 2), ytr=(support,), yte=(query,)
    )
    if "htr_sample" in task:
        sampled = task["htr_sample"]
        if not isinstance(sampled, np.ndarray) or sampled.ndim != 4 or sampled.dtype.kind not in "iuf":
            return "htr_sample is not an array of numbers with 4 axes"
        expected["htr_sample"] = (steps, sampled.shape[1], support, features)
        if not np.isfinite(sampled).all():
            return "htr_sample is not finite"
    for name, shape in expected.items():
        if task[name].shape != shape:
            return f"{name} is {list(task[name].shape)}, not {list(shape)}"
    return None if set(np.unique(task["ytr"])) | set(np.unique(task["yte"])) <= {0, 1} else "a class is not 0 or 1"


def projections(task: Arrays, seed: int) -> list[Arrays]:
    """Points in the plane for every step: {"support": [n, 2], "query": [m, 2], "sampled": [samples * n, 2]}.

    t-SNE of a step starts from the result of the step before, so that a reader can follow the points.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    found, second = [], None
    for step in range(len(task["htr"])):
        parts = {"support": task["htr"][step], "query": task["hte"][step]}
        if "htr_sample" in task:
            parts["sampled"] = task["htr_sample"][step].reshape(-1, task["htr"].shape[-1])
        points = np.concatenate(list(parts.values())).astype(np.float64)
        w = task["w"][step].astype(np.float64)
        length = np.linalg.norm(w[:, 1] - w[:, 0])
        normal = (w[:, 1] - w[:, 0]) / length if length else np.zeros(len(w))
        offset = float(task["b"][step][1] - task["b"][step][0]) / length if length else 0.0
        along = points @ normal
        if second is None:
            second = first_embedding(points - along[:, None] * normal)
        kind = TSNE(1, init=second, perplexity=min(30, (len(points) - 1) / 3), random_state=seed)
        with threadpool_limits(1):  # with so few points several threads are slower
            second = kind.fit_transform(points - along[:, None] * normal)
        plane = np.column_stack([along + offset, second[:, 0]])
        second = (second / max(second.std(), 1e-12) * 1e-4).astype(np.float32)  # the size t-SNE starts from
        sizes = np.cumsum([len(part) for part in parts.values()])[:-1]
        found.append(dict(zip(parts, np.split(plane, sizes), strict=True)))
    return found


def first_embedding(points: np.ndarray) -> np.ndarray:
    """The first principal component, [n, 1], at the scale from which t-SNE starts."""
    centred = points - points.mean(0)
    component = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
    return (component / max(component.std(), 1e-12) * 1e-4).astype(np.float32)[:, None]


def panel(axes: Any, points: Arrays, task: Arrays, small: bool = False) -> None:
    """Draws a step: support (large, outlined), sampled support (faint dots), query (stars) and the boundary."""
    scale = 0.5 if small else 1.0
    size = lambda full: full * scale**2
    axes.axvline(0, color=style.GREY, linewidth=1, zorder=1)
    for label, colour in enumerate(style.CLASSES):
        support, query = task["ytr"] == label, task["yte"] == label
        if "sampled" in points:
            samples = len(points["sampled"]) // len(support)
            of_class = points["sampled"][np.tile(support, samples)]
            axes.scatter(*of_class.T, s=size(14), color=colour, alpha=0.35, linewidths=0, zorder=2)
        axes.scatter(*points["query"][query].T, s=size(45), marker="*", color=colour, linewidths=0, zorder=3)
        outlined = dict(edgecolors=style.BLACK, linewidths=1.2 * scale, zorder=4)
        axes.scatter(*points["support"][support].T, s=size(110), marker="o", color=colour, **outlined)
    layout.bare(axes, grid=False)
    axes.set_yticks([])


def legend(figure: Any, task: Arrays, where: str, columns: int) -> None:
    """A legend of colours and markers outside the panels."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    mark = lambda marker, size, label, **more: Line2D(
        [], [], color=style.GREY, linestyle="", marker=marker, markersize=size, label=label, **more
    )
    handles = [mark("o", 7, "support", markeredgecolor=style.BLACK)]
    if "htr_sample" in task:
        handles.append(mark("o", 3, "support under noise", alpha=0.5))
    handles += [mark("*", 7, "query"), Line2D([], [], color=style.GREY, linewidth=1, label="decision boundary")]
    handles += [Patch(color=colour, label=f"class {label}") for label, colour in enumerate(style.CLASSES)]
    look = dict(fontsize=layout.SMALL, frameon=False, handletextpad=0.4, columnspacing=1.2, handlelength=1.2)
    figure.legend(handles=handles, loc=f"outside {where} center", ncols=columns, **look)


def draw_step(path: pathlib.Path, points: Arrays, task: Arrays) -> pathlib.Path:
    """Draws one step of one task."""
    figure = layout.new_figure(layout.COLUMN, layout.COLUMN)
    axes = figure.subplots()
    panel(axes, points, task)
    axes.set_xlabel(ACROSS, fontsize=layout.SMALL)
    axes.set_ylabel(UP, fontsize=layout.SMALL)
    legend(figure, task, "lower", 3)
    return layout.save(figure, path)


def draw_row(path: pathlib.Path, steps: list[Arrays], task: Arrays) -> pathlib.Path:
    """Draws all steps of one task side by side, with one scale of distances."""
    figure = layout.new_figure(1.25 * len(steps) + 0.3, 2.0)
    panels = figure.subplots(1, len(steps), sharex=True, squeeze=False)[0]
    for step, (axes, points) in enumerate(zip(panels, steps, strict=True)):
        panel(axes, points, task, small=True)
        axes.set_title(f"Step {step}" if step else "Before", fontsize=layout.SMALL)
    panels[0].set_ylabel(UP, fontsize=layout.SMALL)
    figure.supxlabel(ACROSS, fontsize=layout.SMALL)
    legend(figure, task, "upper", 6)
    return layout.save(figure, path)


def draw(savedir: pathlib.Path, seed: int, progress: Callable[[list[Arrays]], Iterable[Arrays]]) -> list[pathlib.Path]:
    """Draws `plot/step{k}/{i}.png` for step k and task i, as the TF1 program names them, and `plot/steps/{i}.png`.

    Args:
      progress: wraps the iterable of tasks, for a progress bar.
    Returns:
      The files written.
    """
    written, folder = [], savedir / "plot"
    for number, task in enumerate(progress(load(savedir / "export.pkl"))):
        steps = projections(task, seed)
        for step, points in enumerate(steps):
            written.append(draw_step(folder / f"step{step}" / f"{number}.png", points, task))
        written.append(draw_row(folder / "steps" / f"{number}.png", steps, task))
    return written
