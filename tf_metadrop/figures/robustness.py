"""The figure of adversarial robustness: accuracy over the attack's radius, a panel for each norm."""

import itertools
import pathlib
import re

from tf_metadrop.config.config import Config
from tf_metadrop.figures import style

NORMS = {"l1": r"$\ell_1$", "l2": r"$\ell_2$", "linf": r"$\ell_\infty$"}
REGULARIZERS = {"maml_manifold_mixup": "mixup", "maml_vib": "vib", "maml_info_dropout": "infodrop"}


def paper_name(method: str) -> str:
    """What the paper's figure calls our method: maml_adv_inner_l2_1 -> adv_e1."""
    if found := re.fullmatch(r"maml_adv_(?:inner|query)_l(?:1|2|inf)_([\d.]+)", method):
        return f"adv_e{found[1]}"
    return REGULARIZERS.get(method, method)


def draw(path: pathlib.Path, runs: dict[str, list[dict]], config: Config, paper: dict) -> None:
    """Draws runs, {label: rows of `attack.attack_model`}, and the paper's curves of the same task, to a PNG.

    Args:
      config: of the runs' task: dataset, way and shot are read.
      paper: {norm: {curve: [(radius, accuracy in per cent)]}}, see `analysis.published.robustness`.
    """
    from matplotlib.figure import Figure  # not pyplot, which keeps state and may open windows

    found = {row["norm"] for rows in runs.values() for row in rows}
    norms = [norm for norm in NORMS if norm in found] + sorted(found - set(NORMS))
    figure = Figure(figsize=(3.4 * len(norms), 3.4), layout="constrained")
    panels = figure.subplots(1, len(norms), squeeze=False)
    runs = {label: runs[label] for label in style.compared_first(runs)}
    colour_of = style.colours_of(runs)
    for norm, axes in zip(norms, panels[0], strict=True):
        for marker, (name, points) in zip(itertools.cycle(style.MARKERS), paper.get(norm, {}).items(), strict=False):
            colour = next((colour_of[label] for label in runs if paper_name(label.split(" ")[0]) == name), "0.55")
            look = dict(marker=marker, markersize=4, markerfacecolor="none", linewidth=0.9, color=colour)
            axes.plot(*zip(*points, strict=True), "--", label=f"paper: {name}", **look)
        for label, rows in runs.items():
            of_norm = [row for row in rows if row["norm"] == norm]
            values = [[row[key] or 0 for row in of_norm] for key in ("epsilon", "accuracy_percent", "ci95")]
            axes.errorbar(
                *values, fmt="o-", markersize=3, linewidth=1.3, capsize=2, label=label, color=colour_of[label]
            )
        axes.set(xlabel=f"{NORMS.get(norm, norm)} radius of the attack", ylim=(-2, 102))
        axes.grid(color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0][0].set_ylabel("accuracy (%)")
    figure.suptitle(f"{config.dataset} {config.way}-way {config.shot}-shot", fontsize=10)
    shown = [pair for axes in panels[0] for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    handles = {label: handle for handle, label in sorted(shown, key=lambda pair: pair[1].startswith("paper"))}
    style.legend_below(figure, handles)
    figure.savefig(path, dpi=200)
