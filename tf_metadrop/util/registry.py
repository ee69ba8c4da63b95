"""Registries: every file in a folder is a value of the folder's flag, named after the file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Any, Generic, TypeVar, cast

from tf_metadrop.errors import UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """The methods of one package.

    Args:
      package, path: `__name__` and `__path__` of the package.
      contract: a typing.Protocol; every method must have its attributes.
    """

    def __init__(self, package: str, path: Iterable[str], contract: type):
        self._package, self._path, self._contract = package, path, contract
        self._registered: dict[str, Any] = {}

    def names(self) -> tuple[str, ...]:
        """Names of all methods: files, except those that begin with _, and registered ones. It imports none of them."""
        files = [module.name for module in pkgutil.iter_modules(self._path) if not module.name.startswith("_")]
        return tuple(sorted({*files, *self._registered}))

    def register(self, name: str, method: Any) -> None:
        """Adds a method from outside the folder, for example from a notebook cell.

        Raises:
          UsageError: it lacks an attribute of the contract.
        """
        self._check(name, method)
        self._registered[name] = method

    def unregister(self, name: str) -> None:
        """Removes a method that `register` added."""
        self._registered.pop(name, None)

    def load(self, name: str) -> T:
        """The method of this name (one of `names()`): the module of the file, or the registered object.

        Raises:
          UsageError: the file lacks an attribute of the contract.
        """
        if name in self._registered:
            return cast(T, self._registered[name])
        method = importlib.import_module(f"{self._package}.{name}")
        self._check(name, method)
        return cast(T, method)

    def _check(self, name: str, method: Any) -> None:
        missing = [member for member in members(self._contract) if not hasattr(method, member)]
        if missing:
            raise UsageError(
                f"{name} cannot be used in {self._package}, because it lacks {', '.join(missing)}: see the class "
                f"{self._contract.__name__} there."
            )


def members(contract: type) -> list[str]:
    """Names of the attributes that a typing.Protocol asks for."""
    own = [*contract.__dict__.get("__annotations__", {}), *vars(contract)]
    return [name for name in dict.fromkeys(own) if not name.startswith("_")]
