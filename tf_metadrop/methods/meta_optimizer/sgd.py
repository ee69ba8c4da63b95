"""Gradient descent: w = w - lr g. It has no state."""

SLOTS = ()


def step(params, slots, gradient, rate, t):
    """One step; see the package for the arguments."""
    return {name: params[name] - rate * g for name, g in gradient.items()}, {}
