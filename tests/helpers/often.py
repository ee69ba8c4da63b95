"""Cases of a test that are run each time, and the others in `make nightly` alone."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def often(cases: Iterable, chosen: Collection, name=lambda case: case) -> list[Any]:
    """Parameters of a test: those whose name is among the chosen each time, the others nightly.

    Args:
      name: of a case; a case that is a tuple gives several arguments.
    """
    cases = list(cases)
    assert set(chosen) <= {name(case) for case in cases}
    every = [case if isinstance(case, tuple) else (case,) for case in cases]
    marks = [[] if name(case) in chosen else [pytest.mark.nightly] for case in cases]
    return [pytest.param(*values, marks=mark) for values, mark in zip(every, marks, strict=True)]
