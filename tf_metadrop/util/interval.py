"""The 95 % interval of a mean."""

import numpy as np


def interval(values: np.ndarray) -> float | None:
    """Half of the 95 % interval of the mean, 1.96 * std / sqrt(n) as in the TF1 program; None for a single value."""
    return 1.96 * float(values.std()) / len(values) ** 0.5 if len(values) > 1 else None


def plus_minus(mean: float, half: float | None, form: str = ".2f", sign: str = "±") -> str:
    """Formats a mean with half of its interval as text."""
    return f"{mean:{form}} " + (f"{sign} {half:{form.lstrip('+')}}" if half is not None else "(one task: no interval)")
