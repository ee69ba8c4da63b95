"""Regularisers, one file each: a file added to this folder is a value of --regularizer, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    from tf_metadrop.methods.regularizer.none import Regularizer
    from tf_metadrop.nn.backbones import Backbone


class Module(Protocol):
    """What a file of this folder has."""

    def make(self, config: Any, backbone: Backbone) -> Regularizer:
        """A `none.Regularizer`, with some of its methods replaced."""


_registry: Registry[Module] = Registry(__name__, __path__, Module)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
