"""What others published, as a results page says it: leads of one method over another, the paper's curves."""

from tf_metadrop.analysis import published
from tf_metadrop.errors import UsageError

Task = tuple[str, int, int]  # dataset, way, shot


def leads(task: Task, second: str, first: str) -> dict[str, float]:
    """{source: accuracy of the second method less the first, in points}, of every source that has both.

    The report has two numbers for Meta-dropout, in two tables. Beside another noise type that of its table of noise
    types counts, which stands last.
    """
    which = 0 if {second, first} <= {"maml", "metadrop"} else -1
    theirs = published.accuracies()
    cells = [theirs.get((*task, method), {}) for method in (second, first)]
    number = lambda cell: float(cell.split("; ")[which].split()[0])
    found = {source: number(cells[0][source]) - number(cells[1][source]) for source in cells[0] if source in cells[1]}
    if not found:
        raise UsageError(f"nobody published {second} and {first} at {task}: a page asks for their difference.")
    return found


def lead(task: Task, second: str, first: str) -> str:
    """`leads` in a line: "+1.40 (paper), +1.75 (authors' repository)"."""
    return ", ".join(f"{points:+.2f} ({source})" for source, points in leads(task, second, first).items())


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
    """The paper's curve under attack: {radius: accuracy in per cent}.

    Args:
      method: as the figure names it; see `figures.robustness.paper_name`.
    """
    found = dict(published.robustness(*task).get(norm, {}).get(method, []))
    if not found:
        raise UsageError(f"the paper's figure has no curve of {method} under {norm} at {task}: a page asks for it.")
    return found


def apart(task: Task, norms: tuple[str, str], factor: float, *methods: tuple[str, str]) -> list[float]:
    """How far the paper's curves of two norms are apart at most, in points, one entry for each pair, ascending.

    Args:
      norms: the curve of the first at a radius is compared with that of the second at `factor` times that radius.
      methods: the curves of the first and of the second norm, as the figure names them.
    """
    found = []
    for names in methods:
        one, other = (curve(task, norm, name) for norm, name in zip(norms, names, strict=True))
        found.append(max(abs(one[radius] - other[radius * factor]) for radius in one if radius * factor in other))
    return sorted(found)
