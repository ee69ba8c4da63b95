"""Steps of the inner loop: every file in this folder is a value of --inner, named after the file.

If the tasks are vectorised (on a GPU), theta and its gradient have the tasks as first axis; other parameters do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params, Shapes


class InnerStep(Protocol):
    """A step of the inner loop on theta, the parameters that are adapted.

    A step that uses config.inner_lr for initial values only has LEARNS_RATES = True: a test then refuses another
    --inner_lr, which would have no effect.
    """

    def parameters(self, theta: Shapes) -> dict[str, tuple[int, ...]]:
        """{name: shape} of additional parameters of this step, which the outer loop learns."""

    def initial(self, config: Any) -> float:
        """The initial value of all additional parameters."""

    def step(self, theta: Params, gradient: Params, params: Params, config: Any) -> Params:
        """Computes theta after one step; params has all parameters."""


_registry: Registry[InnerStep] = Registry(__name__, __path__, InnerStep)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
