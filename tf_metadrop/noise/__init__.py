"""Noise types, one file each: a file added to this folder is a value of --noise_type, by its name.

A noise type is a module (or any object, see `register`) with

  features(params, layer, h, normal) -> x       what block `layer` (1..4) hands to its batch normalisation
  logits(params, f, normal) -> logits           the dense layer
  trained(name) -> bool                         whether the outer loop updates the parameter of this name

where h is [batch, height, width, channels], x is [batch, height, width, filters], f is [batch, features] and logits is
[batch, way]. `normal(shape)` draws standard normal noise for this layer; it is None when the pass does not sample, and
then the noise is at its mean. See metadrop.py.

Where the tasks run at once (on a GPU), h, x, f and logits have more axes before these, the first of them the tasks, and
the parameters under theta/ begin with it too: `ops.convs`, `ops.dense` and elementwise arithmetic take both forms.
"""

import importlib
import pkgutil

_registered = {}


def names() -> tuple[str, ...]:
    """The noise types there are. Imports none of them."""
    files = [module.name for module in pkgutil.iter_modules(__path__)]
    return tuple(sorted({*files, *_registered}))


def register(name: str, noise_type) -> None:
    """Adds a noise type from outside this folder, for example from a notebook cell."""
    _registered[name] = noise_type


def load(name: str):
    """The noise type of this name (one of `names()`)."""
    return _registered.get(name) or importlib.import_module(f"{__name__}.{name}")
