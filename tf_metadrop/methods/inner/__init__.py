"""Steps of the inner loop, one file each: a file added to this folder is a value of --inner, by its name.

Such a module has

  parameters(theta) -> {name: shape}           what the outer loop learns for it besides; theta is {name: shape} too
  initial(config) -> float                     where all of those start
  step(theta, gradient, params, config)        -> theta after one step; dicts by name, where params holds all parameters

Where the tasks run at once (on a GPU), theta and gradient have them as a first axis, the others do not.
"""

from tf_metadrop.util.registry import Registry

_registry = Registry(__name__, __path__)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
