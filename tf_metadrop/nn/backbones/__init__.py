"""Backbones, one file each: a file added to this folder is a value of --backbone, by its name.

Such a module has `make(spec)`, which returns a `Backbone` for the images of a data set. Its parameters are one flat
dict by name. The names say what a parameter is:

  theta/...       adapted by the inner loop
  phi/...         of the noise generator: kernels end in _w, biases do not
  anything else   meta-learned, and not adapted
  theta/dense_w [features, way], theta/dense_b [way], phi/dense_w [features, 1], phi/dense_b [1]     the last layer
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tf_metadrop.errors import UsageError
from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.site import Block, Site
    from tf_metadrop.nn.types import Params

DEFAULTS = dict(filters=0, blocks=4, widths="64,160,320,640")  # options of backbones, Config's fields


class Blocks(Protocol):
    """What a backbone calls while it computes: where regularisers, the noise type and the normalisation act."""

    def enter(self, number: int, h: tf.Tensor) -> tf.Tensor:
        """What block `number` gets instead of h."""

    def perturb(self, site: Site) -> tf.Tensor:
        """The layer's result, with its noise."""

    def leave(self, block: Block) -> tf.Tensor:
        """The block's output."""

    def normalized(self, number: int, x: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
        """norm(x) + offset of features beside the blocks, as of a shortcut; blocks and these are numbered 1, 2, ..."""


class Backbone(Protocol):
    """A network for images of one shape.

    It may also have `blocks`, the number of places that it calls `Blocks.enter` for, and `normalizations`, how many
    normalisations it has: where they are not given, both are as many as there are kernels.
    """

    kernels: tuple[tuple[int, ...], ...]  # shape of each hidden layer at which noise acts, in order
    features: int  # that enter the last layer

    def shapes(self, way: int) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter, by name. Initial values are drawn in this order."""

    def first(self, params: Params, x: tf.Tensor) -> Site:
        """The first layer, for images x [..., batch, height, width, channels]."""

    def hidden(self, params: Params, x: tf.Tensor, blocks: Blocks) -> tf.Tensor:
        """Features [..., batch, features] before the last layer."""

    def last(self, params: Params, f: tf.Tensor) -> Site:
        """The last layer, for these features."""


class Module(Protocol):
    """What a file of this folder has.

    It may also have OPTIONS, names of Config's fields, which `make` then takes as keyword arguments.
    """

    def make(self, spec: Any) -> Backbone:
        """The backbone for a `data.DatasetSpec`."""


_registry: Registry[Module] = Registry(__name__, __path__, Module)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load


def options(name: str, config: Any) -> dict[str, Any]:
    """The arguments of this backbone's `make` besides the data set.

    Raises:
      UsageError: the config has an option that is another backbone's.
    """
    own = getattr(load(name), "OPTIONS", ())
    for option, default in DEFAULTS.items():
        if option not in own and getattr(config, option) != default:
            raise UsageError(f"--{option}={getattr(config, option)} is not for --backbone={name}: leave it out.")
    return {option: getattr(config, option) for option in own}
