"""Adversarial training, one file each: a file added to this folder is a value of --adv_train, by its name.

Such a module has `make(config)`, which returns an `Adversary`: none.py's, with one of its methods replaced.
"""

from tf_metadrop.util.registry import Registry

_registry = Registry(__name__, __path__)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
