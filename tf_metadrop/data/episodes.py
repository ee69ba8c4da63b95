"""Draws few-shot episodes, with exactly the random numbers of the original program."""

from collections.abc import Sequence

import numpy as np

from tf_metadrop.errors import UsageError

MODES = ("independent", "shared_classes")


def draw(
    rng: np.random.RandomState,
    n_classes: int,
    n_instances: int | Sequence[int] | np.ndarray,
    way: int,
    shot: int,
    query: int,
    metabatch: int,
    episodes: str,
    starts: Sequence[int] | np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the images of `metabatch` episodes.

    For each episode, `way` classes are drawn without replacement. Then, for each class in that order, shot + query
    instances are drawn without replacement: the first `shot` are support images, the rest query images. Rows are
    ordered class by class, so the labels are repeat(arange(way), shot) and repeat(arange(way), query).

    The original program draws from NumPy's legacy generator (MT19937), whose stream NumPy keeps frozen. The same
    RandomState therefore gives the episodes of that program, on every machine.

    Args:
      rng: legacy generator; its state advances.
      n_classes: number of classes of the split.
      n_instances: number of images of every class, or a list with the number for each class.
      way, shot, query, metabatch: the flags of these names.
      episodes: "independent" draws new classes for each episode (paper, Algorithm 1); "shared_classes" draws them
        once per call for the whole metabatch, as the 2020 release of the authors' program does.
      starts: index of the first image of each class; None: each class starts where the previous one ends.

    Returns:
      (support, query): int32 arrays [metabatch, way * shot] and [metabatch, way * query] of flat indices
      start + instance.

    Raises:
      UsageError: a count is below 1, the split is too small, or `episodes` is not known.
    """
    counts = np.broadcast_to(n_instances, n_classes)
    starts = np.cumsum(counts) - counts if starts is None else starts
    _check(n_classes, int(min(counts, default=0)), way, shot, query, metabatch, episodes)
    support = np.empty((metabatch, way, shot), np.int32)
    queries = np.empty((metabatch, way, query), np.int32)
    classes = None
    for task in range(metabatch):
        if classes is None or episodes == "independent":
            classes = rng.choice(n_classes, size=way, replace=False)
        for row, label in enumerate(classes):
            instances = starts[label] + rng.choice(counts[label], size=shot + query, replace=False)
            support[task, row] = instances[:shot]
            queries[task, row] = instances[shot:]
    return support.reshape(metabatch, way * shot), queries.reshape(metabatch, way * query)


def _check(n_classes: int, n_instances: int, way: int, shot: int, query: int, metabatch: int, episodes: str) -> None:
    for flag, value in (("way", way), ("shot", shot), ("query", query), ("metabatch", metabatch)):
        if value < 1:
            raise UsageError(f"--{flag} {value} is too small: give at least 1.")
    if way > n_classes:
        raise UsageError(f"--way {way} is more than the {n_classes} classes of the split: lower --way.")
    if shot + query > n_instances:
        raise UsageError(
            f"--shot {shot} and --query {query} need {shot + query} images of a class, but the classes of the split "
            f"have {n_instances}: lower --shot or --query."
        )
    if episodes not in MODES:
        raise UsageError(f"--episodes {episodes} is not known: give one of {', '.join(MODES)}.")
