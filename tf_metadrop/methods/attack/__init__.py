"""Norms of adversarial attacks, one file each: a file added to this folder is a value of --adv_norm, by its name.

Such a module has, for perturbations d and gradients g [..., pixels] and radii eps that can be broadcast against them,

  RADII                      of the paper's figure, for Omniglot
  project(d, eps)            the point of the ball of this radius that is closest to d
  ascent(g)                  the direction of a step, of size 1 in this norm
  start(normal, eps)         a random point of the ball, from standard normal numbers [..., pixels + 1]
"""

from tf_metadrop.util.registry import Registry

_registry = Registry(__name__, __path__)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
