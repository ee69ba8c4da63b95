"""Accuracy over the radius of an attack: a panel for each norm, a row of panels for each number of steps."""

import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from tf_metadrop.config.config import Config
from tf_metadrop.figures import layout, style

REGULARIZERS = {"maml_manifold_mixup": "mixup", "maml_vib": "vib", "maml_info_dropout": "infodrop"}
PAPER = "paper"


class Attacked(NamedTuple):
    """An attacked model."""

    method: str  # as Config.method has it
    note: str  # what distinguishes it from others of its method, or ""
    rows: list[dict]  # of `attack.attack_model`, of one kind of attack

    @property
    def label(self) -> str:
        """For the legend."""
        return style.name(self.method) + (f", {self.note}" if self.note else "")

    @property
    def attack(self) -> tuple[int, str]:
        """The kind of its attack: number of steps, and what sets it apart from PGD with random starts, or ""."""
        variant = self.rows[0].get("variant", "pgd")  # older files do not name it
        from_image = variant == "pgd" and self.rows[0].get("restarts") == 0
        return self.rows[0]["steps"], "from the image" if from_image else "" if variant == "pgd" else variant


def paper_name(method: str) -> str:
    """What the paper's figure calls our method: maml_adv_inner_l2_1 -> adv_e1."""
    if found := re.fullmatch(r"maml_adv_(?:inner|query)_l(?:1|2|inf)_([\d.]+)", method):
        return f"adv_e{found[1]}"
    return REGULARIZERS.get(method, method)


def draw(path: pathlib.Path, models: list[Attacked], config: Config, paper: dict) -> pathlib.Path:
    """Draws attacked models, and the paper's curves of the same methods and task.

    Args:
      config: of the models' task: dataset, way and shot are read.
      paper: {norm: {curve: [(radius, accuracy in per cent)]}}, see `analysis.published.robustness`.
    """
    found = {row["norm"] for model in models for row in model.rows}
    norms = [norm for norm in style.NORMS if norm in found] + sorted(found - set(style.NORMS))
    rows = packed(rows_of(models, paper))
    figure = layout.new_figure(2 * layout.COLUMN if len(norms) > 1 else layout.COLUMN, 0.7 + 1.95 * len(rows))
    title = f"{style.task(config.dataset, config.way, config.shot)}: accuracy under attack"
    figure.suptitle(title, fontsize=layout.TITLE, fontweight="bold")
    grid = figure.subplots(len(rows), len(norms), sharex="col", sharey=True, squeeze=False)
    shown: dict[str, Any] = {}
    lines = lines_of(models)
    for places, of_row in zip(grid, rows, strict=True):
        for axes, norm in zip(places, norms, strict=True):
            axes.set_visible(norm in of_row)
            if norm in of_row:
                shown |= draw_panel(axes, norm, of_row[norm], paper.get(norm, {}), lines)
                axes.set_title(title_of(norm, *of_row[norm][0].attack), fontsize=layout.SMALL, color=style.INK)
        next(axes for axes in places if axes.get_visible()).tick_params(labelleft=True)
    for column, norm in zip(grid.T, norms, strict=True):
        lowest = [axes for axes in column if axes.get_visible()][-1]
        lowest.set_xlabel(f"Radius of the attack ({style.NORMS.get(norm, norm)})", fontsize=layout.SMALL)
        lowest.tick_params(labelbottom=True)
    figure.supylabel("Accuracy (%)", fontsize=layout.SMALL)
    ours_first = sorted(shown, key=lambda label: label.endswith(PAPER))
    layout.legend_below(figure, {label: shown[label] for label in ours_first})
    return layout.save(figure, path)


def title_of(norm: str, steps: int, special: str) -> str:
    """Of a panel: "L2 attack, 20 steps", or "L2, 20 steps, gradient"."""
    name, number = style.NORMS.get(norm, norm), f"{steps} step{'s' * (steps > 1)}"
    return f"{name}, {number}, {special}" if special else f"{name} attack, {number}"


def rows_of(models: list[Attacked], paper: dict) -> list[list[Attacked]]:
    """Models by the kind of their attack, most steps first; in pieces where a panel would have too many lines."""
    found = []
    for kind in sorted({model.attack for model in models}, key=lambda kind: (-kind[0], kind[1])):
        same = [model for method in style.in_order({model.method for model in models})
                for model in models if (model.method, model.attack) == (method, kind)]  # fmt: skip
        beside = {paper_name(model.method) for model in same} & {name for curves in paper.values() for name in curves}
        most = layout.MOST if len(same) + len(beside) <= layout.MOST else layout.MOST // 2
        found += [list(piece) for piece in layout.chunks(same, most if beside else layout.MOST)]
    return found


def packed(rows: list[list[Attacked]]) -> list[dict[str, list[Attacked]]]:
    """{norm: models} of each row of panels; two rows with no norm in common are one."""
    found: list[dict[str, list[Attacked]]] = []
    for models in rows:
        of_row = {row["norm"]: models for model in models for row in model.rows}
        if found and not found[-1].keys() & of_row.keys():
            found[-1] |= of_row
        else:
            found.append(of_row)
    return found


def lines_of(models: list[Attacked]) -> dict[str, Any]:
    """{label: line}: the first model of each method has a solid one."""
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        of_method = found.setdefault(model.method, {})
        number = len(of_method)
        of_method.setdefault(model.label, style.DASHES[0] if number == 0 else style.DASHES[2 + number % 4])
    return {label: line for of_method in found.values() for label, line in of_method.items()}


def draw_panel(
    axes: Any, norm: str, models: list[Attacked], paper: dict[str, Sequence[tuple]], lines: dict[str, Any]
) -> dict[str, Any]:
    """One norm; returns {label: handle}. Radius 0 is the clean accuracy."""
    shown: dict[str, Any] = {}
    for method in dict.fromkeys(model.method for model in models):
        if points := paper.get(paper_name(method)):
            look = style.look(method) | dict(color=style.pale(style.colour(method)), markerfacecolor=style.PAPER)
            label = f"{style.name(method)}, {PAPER}"
            (shown[label],) = axes.plot(
                *zip(*points, strict=True), linestyle=style.DASHES[1], markersize=3.5, linewidth=1, label=label, **look
            )
    for model in models:
        of_norm = [row for row in model.rows if row["norm"] == norm]
        if not of_norm:
            continue
        values = [[row[key] or 0 for row in of_norm] for key in ("epsilon", "accuracy_percent", "ci95")]
        look = style.look(model.method) | dict(linestyle=lines[model.label], linewidth=1.4, markersize=3.5, capsize=2)
        shown[model.label] = axes.errorbar(*values, label=model.label, **look)
    layout.bare(axes)
    axes.set_ylim(-3, 103)
    radii = sorted({row["epsilon"] for model in models for row in model.rows if row["norm"] == norm})
    if radii and radii[0] == 0 and len(radii) <= 7:
        axes.set_xticks(radii, ["clean", *[f"{radius:g}" for radius in radii[1:]]])
    return shown
