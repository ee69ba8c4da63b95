"""Regularisers: every file in this folder is a value of --regularizer, named after the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    from tf_metadrop.methods.regularizer.none import Regularizer
    from tf_metadrop.nn.backbones import Backbone


class Module(Protocol):
    """The interface of a file in this folder."""

    def make(self, config: Any, backbone: Backbone) -> Regularizer:
        """A `none.Regularizer` that overrides some of its methods."""


_registry: Registry[Module] = Registry(__name__, __path__, Module)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
