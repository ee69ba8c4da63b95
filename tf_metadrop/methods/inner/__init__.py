"""Steps of the inner loop, one file each: a file added to this folder is a value of --inner, by its name.

Where the tasks run at once (on a GPU), theta and gradient have them as a first axis, the other parameters do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params, Shapes


class InnerStep(Protocol):
    """A step on the parameters that are adapted, theta."""

    def parameters(self, theta: Shapes) -> dict[str, tuple[int, ...]]:
        """{name: shape} of what the outer loop learns for it besides."""

    def initial(self, config: Any) -> float:
        """Where all of those start."""

    def step(self, theta: Params, gradient: Params, params: Params, config: Any) -> Params:
        """theta after one step; params holds all parameters."""


_registry: Registry[InnerStep] = Registry(__name__, __path__, InnerStep)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
