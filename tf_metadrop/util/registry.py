"""A folder of methods, one file each: a file added to it is a value of the folder's flag, by its name."""

import importlib
import pkgutil


class Registry:
    """The methods of one package.

    Args:
      package: its `__name__` and `__path__`.
    """

    def __init__(self, package: str, path):
        self._package, self._path, self._registered = package, path, {}

    def names(self) -> tuple[str, ...]:
        """What there is to choose from. Imports none of it."""
        files = [module.name for module in pkgutil.iter_modules(self._path)]
        return tuple(sorted({*files, *self._registered}))

    def register(self, name: str, method) -> None:
        """Adds a method from outside the folder, for example from a notebook cell."""
        self._registered[name] = method

    def unregister(self, name: str) -> None:
        """Takes back what `register` added."""
        self._registered.pop(name, None)

    def load(self, name: str):
        """The method of this name (one of `names()`): the file's module, or what was registered."""
        return self._registered.get(name) or importlib.import_module(f"{self._package}.{name}")
