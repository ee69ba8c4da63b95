"""Progress bars, and a check for a terminal that can show them."""

import shutil
import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def has_terminal() -> bool:
    """Whether a progress bar can be shown: stderr is a terminal of known width."""
    return sys.stderr.isatty() and shutil.get_terminal_size(fallback=(0, 0)).columns > 0


def progress(items: Iterable[T], unit: str) -> Iterable[T]:
    """Iterates with a progress bar and the time left; without a terminal, it prints one line per minute."""
    elsewhere: dict[str, Any] = dict(delay=60, mininterval=60, ascii=True)
    return tqdm(items, unit=unit, **({} if has_terminal() else elsewhere))
