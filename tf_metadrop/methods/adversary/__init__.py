"""Kinds of adversarial training: every file in this folder is a value of --adv_train, named after the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    from tf_metadrop.methods.adversary.none import Adversary


class Module(Protocol):
    """The interface of a file in this folder."""

    def make(self, config: Any) -> Adversary:
        """A `none.Adversary` that overrides one of its methods."""


_registry: Registry[Module] = Registry(__name__, __path__, Module)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
