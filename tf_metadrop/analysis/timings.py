"""The measured time of a training step, from the RESULTS.json that `python -m benchmarks.step --suite` writes."""

import json
import pathlib

from tf_metadrop.errors import UsageError
from tf_metadrop.util import text

TITLE = "Meta-training step"


def rows(path: pathlib.Path) -> list[dict]:
    """Rows of the table of training steps: task, method, gradient, precision, and "s": the median in seconds.

    Raises:
      UsageError: the file cannot be read, or is not one of these.
    """
    try:
        found = json.loads(text.read(path, "--timings"))
        steps = next(table for table in found["tables"] if table["title"].startswith(TITLE))
        return [
            row["labels"] | {"s": f"{found['measurements'][row['flags']]['median_s']:.3f}"} for row in steps["rows"]
        ]
    except UsageError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise UsageError(
            f"--timings: {path} is not what `python -m benchmarks.step --suite` writes ({error!r}): "
            "give its RESULTS.json."
        ) from error
