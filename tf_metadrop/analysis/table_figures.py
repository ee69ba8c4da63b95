"""The figures beside the tables: how runs learned, how accurate they are, and how they withstand attacks."""

import pathlib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from tf_metadrop.analysis import paired, seeds, usual
from tf_metadrop.analysis.published import robustness as accuracies_under_attack
from tf_metadrop.figures import curves, dots, learning, robustness, style
from tf_metadrop.runs.finished import Run

HELD_OUT = {"meta_val": "Accuracy on validation classes (%)", "meta_test": "Accuracy on test classes (%)"}
COLUMNS = 5  # of small panels


def draw(runs: list[Run], published: dict, output: pathlib.Path) -> dict[str, pathlib.Path]:
    """Everything that can be drawn of these `finished.Run`s: {title: file}.

    Args:
      published: `published.accuracies()`.
    """
    written: dict[str, pathlib.Path] = {}
    accuracies: dict[str, Accuracies] = {}
    for task in sorted({run.task for run in runs}):
        title, name = style.task(*task), "{}_{}way{}shot".format(*task)
        same = [run for run in runs if run.task == task]
        by_images = usual.of_images(same)
        for folder, some in by_images.items():
            heading = f"{title}, images in {folder}" if folder else title
            stem = re.sub(r"\W+", "_", f"learning_{name}_{folder}").strip("_")
            written |= draw_learning(some, published, task, heading, output / stem, over_time=not folder)
        accuracies[title] = final(usual.as_usual(by_images[""]), seeds.of_settings(same))
        if accuracies[title].keys() - set(style.COMPARED):
            heading = f"{title}: accuracy of the methods"
            panel = dots.Panel(title, accuracies[title])
            written[heading] = dots.draw(output / f"accuracy_{name}_methods.png", [panel], heading)
    return written | draw_gradients(accuracies, output) | draw_attacks(runs, output)


def draw_learning(
    runs: list[Run], published: dict, task: tuple, title: str, stem: pathlib.Path, over_time: bool
) -> dict[str, pathlib.Path]:
    """Curves of the runs of a task: by meta-gradient, by method, by other settings: {heading: file}.

    Args:
      stem: the beginning of the files' names.
      over_time: also draw the first of these over the hours of training.
    """
    written: dict[str, pathlib.Path] = {}
    for split, y_label in HELD_OUT.items():
        drawn = with_curves(runs, split)
        by_gradient = gradients(drawn, published if split == "meta_test" else {}, task)
        for what, words, rows, more in (
            ("gradients", "meta-gradients", by_gradient, {}),
            (
                "gradients_over_time",
                "meta-gradients, over time",
                by_gradient if over_time else [],
                dict(across="hours"),
            ),
            ("methods", "methods", methods(drawn), {}),
            ("settings", "settings", settings(drawn), dict(beside=True)),
        ):
            path, heading = f"{stem}_{what}", f"{title}: {words}"
            if heading in written:
                path, heading = f"{path}_on_test_classes", f"{heading}, on test classes"
            if rows:
                written[heading] = learning.draw(pathlib.Path(f"{path}.png"), rows, heading, y_label, **more)
    return written


Accuracies = dict[str, list[dots.Dot]]  # by method, a dot for each meta-gradient


def draw_gradients(accuracies: dict[str, Accuracies], output: pathlib.Path) -> dict[str, pathlib.Path]:
    """Final accuracy of MAML and Meta-dropout by meta-gradient, a panel for each task: {title: file}."""
    panels = []
    for title, found in accuracies.items():
        compared = {method: found[method] for method in style.COMPARED if method in found}
        if len({dot.gradient for every in compared.values() for dot in every}) > 1:
            panels.append(dots.Panel(title, compared))
    heading = "Accuracy by meta-gradient"
    return {heading: dots.draw(output / "accuracy_gradients.png", panels, heading)} if panels else {}


def with_curves(runs: list[Run], split: str) -> list[usual.Drawn]:
    """The runs that were evaluated on this split while they trained, in a fixed order."""
    found = [(run, curve) for run in runs if (curve := curves.load_any(run.directory).get(split))]
    return sorted(found, key=lambda each: (each[0].config.method, usual.place(each[0].gradient), str(each[0].seed)))


def curve_of(drawn: usual.Drawn, label: str, look: dict[str, Any]) -> learning.Curve:
    """A run's curve, as it is drawn."""
    _, curve = drawn
    return learning.Curve(label, look, curve["iter"], curve["hours"], curve["acc"])


def gradient_curve(drawn: usual.Drawn) -> learning.Curve:
    """A run's curve with the colour of its method and the line of its meta-gradient."""
    run, _ = drawn
    look = dict(color=style.colour(run.config.method), linestyle=style.dashes(run.gradient))
    return curve_of(drawn, style.GRADIENTS.get(run.gradient, run.gradient), look)


def gradients(drawn: list[usual.Drawn], published: dict, task: tuple) -> list[list[learning.Panel | None]]:
    """MAML and Meta-dropout side by side, a line for each meta-gradient."""
    every = list(zip(drawn, usual.deviations(drawn), strict=True))
    row: list[learning.Panel | None] = []
    for method in style.COMPARED:
        mine = [(each, other) for each, other in every if each[0].config.method == method]
        plain = [each for each, other in mine if not other]
        found, note = (plain, "") if plain else usual.by_gradient_alone([each for each, _ in mine])
        if found:
            row.append(
                learning.Panel(method, note, [gradient_curve(each) for each in found], numbers(published, task, method))
            )
    return [row] if row else []


def methods(drawn: list[usual.Drawn]) -> list[list[learning.Panel | None]]:
    """A small panel for each method by the exact gradient, with MAML beside it; none where there is no other method.

    Variants of a noise type, and radii of adversarial training, share a panel.
    """
    exact = [each for each, other in zip(drawn, usual.deviations(drawn), strict=True)
             if not other and each[0].gradient == "exact"]  # fmt: skip
    bases: dict[str, list[usual.Drawn]] = {}
    for each in exact:
        bases.setdefault(style.base(each[0].config.method), []).append(each)
    if not bases.keys() - set(style.COMPARED):
        return []
    reference = dict(color=style.PALE, linestyle="-", linewidth=1.1)
    maml = [curve_of(each, style.name("maml"), reference) for each in bases.get("maml", [])]
    panels = []
    for base in style.in_order(bases.keys() - {"maml"}):
        variants = list(dict.fromkeys(run.config.method for run, _ in bases[base]))
        found = [variant_curve(each, variants) for each in bases[base]]
        panels.append(learning.Panel(base, "", [*maml, *found]))
    return in_rows(panels, COLUMNS)


def variant_curve(drawn: usual.Drawn, variants: list[str]) -> learning.Curve:
    """A run's curve with the colour of its method and the line of its variant."""
    run, _ = drawn
    look = dict(color=style.colour(run.config.method), linestyle=style.DASHES[variants.index(run.config.method)])
    label = "its definition in the report" if style.parts(run.config.method).report else "the method"
    return curve_of(drawn, label, look)


def settings(drawn: list[usual.Drawn]) -> list[list[learning.Panel | None]]:
    """A row for each setting in which runs of MAML or Meta-dropout differ from most, beside the runs that do not."""
    found: dict[str, dict[str, list[learning.Curve]]] = {}
    every = list(zip(drawn, usual.deviations(drawn), strict=True))
    for method in style.COMPARED:
        mine = [(each, other) for each, other in every if usual.family(each[0]) == method]
        if all(other for _, other in mine) and usual.by_gradient_alone([each for each, _ in mine])[0]:
            continue  # they are drawn by meta-gradient
        for names in dict.fromkeys(tuple(other) for _, other in mine if other):
            apart = [(each, other) for each, other in mine if tuple(other) == names]
            known = {run.gradient for (run, _), _ in apart}
            base = [(each, other) for each, other in mine if not other and each[0].gradient in known]
            words = ", ".join(map(usual.in_words, names))
            values = list(dict.fromkeys(tuple(other.values()) for _, other in apart))
            lines = [setting_curve(each, other, names, values) for each, other in [*base, *apart]]
            found.setdefault(words, {})[method] = lines
    panels = [learning.Panel(method, words, lines) for words, of in found.items() for method, lines in of.items()]
    return in_rows(panels, 2)


def in_rows(panels: list[learning.Panel], columns: int) -> list[list[learning.Panel | None]]:
    """Panels in rows of so many, the last one filled with None."""
    filled = [*panels, *[None] * (-len(panels) % columns)]
    return [filled[start : start + columns] for start in range(0, len(filled), columns)]


def setting_curve(drawn: usual.Drawn, other: dict, names: Iterable[str], values: list[tuple]) -> learning.Curve:
    """A run's curve with the line of its meta-gradient, and a marker for its values of these settings."""
    curve, (run, _) = gradient_curve(drawn), drawn
    told = [other.get(name, getattr(run.config, name, "")) for name in names]
    text = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in told)
    number = values.index(tuple(other.values())) if other else None
    face = style.PAPER if number is not None and number % 2 == 0 else curve.look["color"]
    mark = {} if number is None else dict(marker=style.MARKERS[number % len(style.MARKERS)], markerfacecolor=face)
    return curve._replace(label=f"{text}, {run.gradient}", look=curve.look | mark)


def numbers(published: dict, task: tuple, method: str) -> list[learning.Published]:
    """What others published for a task and method; "repository" is that of the paper's authors."""
    cells = published.get((*task, method), {})
    return [
        learning.Published(source.removeprefix("authors' "), float(text.split()[0])) for source, text in cells.items()
    ]


def final(runs: list[Run], settings: list[np.ndarray]) -> Accuracies:
    """The tests of these runs, averaged over the seeds.

    Args:
      settings: the accuracies of the seeds of all settings, which say how far seeds move them.
    """
    groups: dict[tuple[str, str], dict[Any, Run]] = {}  # one run for each seed
    for run in runs:
        groups.setdefault((run.config.method, run.gradient), {}).setdefault(run.seed, run)
    found: dict[str, list[dots.Dot]] = {}
    for (method, gradient), by_seed in sorted(groups.items(), key=lambda item: usual.place(item[0][1])):
        some = [*by_seed.values()]
        each = [run.test["accuracy"] for run in some if run.test]
        width = half(some, seeds.spread(settings, np.array(each)))
        found.setdefault(method, []).append(dots.Dot(gradient, float(np.mean(each)), width, each))
    return found


def half(runs: list[Run], between: seeds.Spread | None) -> float | None:
    """Half the 95 % interval of the mean, over tasks and seeds where all were tested on the same number of tasks."""
    tasks = [each for run in runs if (each := paired.accuracies(run.directory)) is not None]
    if len(tasks) == len(runs) and len({len(each) for each in tasks}) == 1:
        return seeds.half(np.stack(tasks), between)
    widths = [run.test["interval"] or 0 for run in runs if run.test]
    return max(widths) or None


def draw_attacks(runs: list[Run], output: pathlib.Path) -> dict[str, pathlib.Path]:
    """A robustness figure for each task of the attacked runs among these: {title: file}."""
    attacked, written = not_in_others([run for run in runs if run.attack]), {}
    for task in sorted({run.attack_task for run in attacked}):
        same = [run for run in attacked if run.attack_task == task]
        path = output / "robustness_{}_{}way{}shot.png".format(*task)
        config = same[0].attacked or same[0].config
        written[f"{style.task(*task)}: robustness"] = robustness.draw(
            path, models(same), config, accuracies_under_attack(config.dataset, config.way, config.shot)
        )
    return written


def not_in_others(runs: list[Run]) -> list[Run]:
    """Attacked runs without those that another contains, at more radii and with another number of noise samples.

    Their curves would lie on each other; `tables.robustness_rows` has all of them.
    """

    samples = lambda run: run.attacked and run.attacked.n_test_mc_samp
    points = lambda run: {(row["norm"], row["epsilon"]) for row in run.attack}
    kind = lambda run: (
        run.attack_task, run.config.method, run.gradient, run.seed, run.attacked_weights,
        robustness.Attacked("", "", run.attack).attack,
    )  # fmt: skip
    within = lambda run, other: (
        kind(run) == kind(other) and samples(run) != samples(other) and points(run) < points(other)
    )
    return [run for run in runs if not any(within(run, other) for other in runs)]


def models(runs: list[Run]) -> list[robustness.Attacked]:
    """The attacked runs; each with what runs of its method differ in: iterations, noise samples, or else the folder."""
    kind = lambda run: robustness.Attacked(run.config.method, "", run.attack).attack
    found = []
    for run in runs:
        of_method = [other for other in runs if other.config.method == run.config.method]
        reached = run.attacked_weights
        same = [other for other in of_method if (kind(other), other.attacked_weights) == (kind(run), reached)]
        several = len({other.attacked_weights for other in of_method}) > 1 and reached != ""
        names = [other.directory.name for other in same]
        notes = [f"{reached:,} iterations"] if several else []
        samples = [other.attacked.n_test_mc_samp if other.attacked else 0 for other in same]
        if len(same) > 1 and len({*samples}) == len(same):
            notes += [f"{samples[same.index(run)]} noise samples"]
        elif len(same) > 1:
            notes += [run.directory.name if names.count(run.directory.name) == 1 else str(run.directory)]
        found.append((reached or 0, robustness.Attacked(run.config.method, ", ".join(notes), run.attack)))
    return [model for _, model in sorted(found, key=lambda each: each[0], reverse=True)]
