"""Gradient descent, as in MAML and Meta-dropout: theta' = theta - inner_lr * gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params, Shapes


def parameters(theta: Shapes) -> dict[str, tuple[int, ...]]:
    """No additional parameters."""
    return {}


def initial(config: Any) -> float:
    """The learning rate; it is not used, as there are no additional parameters."""
    return config.inner_lr


def step(theta: Params, gradient: Params, params: Params, config: Any) -> Params:
    """Computes theta after one step."""
    return {name: theta[name] - config.inner_lr * gradient[name] for name in theta}
