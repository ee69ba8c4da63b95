"""What others published, as a results page says it: leads of one method over another, the paper's curves."""

from tf_metadrop.analysis import published
from tf_metadrop.errors import UsageError

Task = tuple[str, int, int]  # dataset, way, shot


def lead(task: Task, second: str, first: str) -> str:
    """Accuracy of the second method less the first, in points: "+1.40 (paper), +1.75 (authors' repository)".

    The report has two numbers for Meta-dropout, in two tables. Beside another noise type that of its table of noise
    types counts, which stands last.
    """
    which = 0 if {second, first} <= {"maml", "metadrop"} else -1
    theirs = published.accuracies()
    cells = [theirs.get((*task, method), {}) for method in (second, first)]
    number = lambda cell: float(cell.split("; ")[which].split()[0])
    both = [source for source in cells[0] if source in cells[1]]
    if not both:
        raise UsageError(f"nobody published {second} and {first} at {task}: a page asks for their difference.")
    return ", ".join(f"{number(cells[0][source]) - number(cells[1][source]):+.2f} ({source})" for source in both)


def rows(dataset: str) -> list[dict]:
    """All accuracies of a data set: task, method, and a text for each source, "" where it has none."""
    return [
        {
            "task": f"{of} {way}-way {shot}-shot",
            "method": method,
            **dict.fromkeys(published.SOURCES.values(), ""),
            **cells,
        }
        for (of, way, shot, method), cells in sorted(published.accuracies().items())
        if of == dataset
    ]


def curve(task: Task, norm: str, method: str) -> dict[float, float]:
    """The paper's curve under attack: {radius: accuracy in per cent}; {} if it has none.

    Args:
      method: as the figure names it; see `figures.robustness.paper_name`.
    """
    return dict(published.robustness(*task).get(norm, {}).get(method, []))


def apart(task: Task, norms: tuple[str, str], factor: float, *methods: tuple[str, str]) -> list[float]:
    """How far the paper's curves of two norms are apart at most, in points, one entry for each pair, ascending.

    Args:
      norms: the curve of the first at a radius is compared with that of the second at `factor` times that radius.
      methods: the curves of the first and of the second norm, as the figure names them.
    """
    found = []
    for names in methods:
        one, other = (curve(task, norm, name) for norm, name in zip(norms, names, strict=True))
        if not (one and other):
            raise UsageError(f"the paper's figure has no curves {names} under {norms} at {task}: a page compares them.")
        found.append(max(abs(one[radius] - other[radius * factor]) for radius in one if radius * factor in other))
    return sorted(found)
