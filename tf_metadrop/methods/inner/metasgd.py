"""Meta-SGD (Li et al., 2017): theta' = theta - A * gradient, elementwise, where A is meta-learned like theta.

A starts at inner_lr everywhere, is not clipped and may become negative. For the dense layer, A has one column for all
classes, [features, 1] and [1]. This is our choice: it keeps the classes interchangeable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_metadrop.nn.params import DENSE

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params, Shapes

PREFIX = "metasgd/"
LEARNS_RATES = True


def rate_of(name: str) -> str:
    """The name of the learned rates of a parameter: theta/conv1_w -> metasgd/conv1_w."""
    return PREFIX + name.removeprefix("theta/")


def parameters(theta: Shapes) -> dict[str, tuple[int, ...]]:
    """The learned rates for every parameter of theta, {name: shape}."""
    one_column = lambda name, shape: (*shape[:-1], 1) if name in DENSE else shape
    return {rate_of(name): one_column(name, shape) for name, shape in theta.items()}


def initial(config: Any) -> float:
    """The initial value of every rate."""
    return config.inner_lr


def step(theta: Params, gradient: Params, params: Params, config: Any) -> Params:
    """Computes theta after one step."""
    return {name: theta[name] - params[rate_of(name)] * gradient[name] for name in theta}
