"""Adversarial training, one file each: a file added to this folder is a value of --adv_train, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    from tf_metadrop.methods.adversary.none import Adversary


class Module(Protocol):
    """What a file of this folder has."""

    def make(self, config: Any) -> Adversary:
        """A `none.Adversary`, with one of its methods replaced."""


_registry: Registry[Module] = Registry(__name__, __path__, Module)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
