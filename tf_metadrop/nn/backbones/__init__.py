"""Backbones, one file each: a file added to this folder is a value of --backbone, by its name.

A Keras model is one too: `register("mine", from_keras(model))`, or --backbone=mine.keras; a run in a savedir keeps its
description there (backbone.json).

Such a module has `make(spec)`, which returns a `Backbone` for the images of a data set. Its parameters are one flat
dict by name. The names say what a parameter is:

  theta/...       adapted by the inner loop
  phi/...         of the noise generator: kernels end in _w, biases do not
  anything else   meta-learned, and not adapted
  theta/dense_w [features, way], theta/dense_b [way], phi/dense_w [features, 1], phi/dense_b [1]     the last layer
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any, Protocol

from tf_metadrop.errors import UsageError
from tf_metadrop.nn.described import FILE, Described, keras_file, read, write
from tf_metadrop.util import paths
from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.site import Block, Site
    from tf_metadrop.nn.types import Params

SUFFIX = ".keras"  # of a model that Keras saved
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
    normalisations it has: where they are not given, both are as many as there are kernels. By name, `weights` are where
    parameters start that are not to be drawn, `deviations` the standard deviations of those that are drawn with another
    than 0.02. `nodes(way)`, its operations as `nn.nodes`, let it be exported.
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


def from_keras(model: Any, keep_weights: bool = False) -> Described:
    """A Keras model as a backbone; see `nn.from_keras.from_keras`."""
    from tf_metadrop.nn.from_keras import from_keras as converted

    return converted(model, keep_weights)


def find(name: str, folder: pathlib.Path | None) -> str:
    """Name of a backbone that there is: `name`, or for a .keras file the name without that, registered.

    Args:
      folder: a savedir; its backbone.json is registered where it describes a backbone of this name.
    Raises:
      UsageError: there is none, or the folder's is another one.
    """
    if name.endswith(SUFFIX):
        return _of_file(paths.path(name))
    if folder and (folder / FILE).is_file():
        kept_name, kept = read(folder / FILE)
        if kept_name == name:
            return remember(name, kept, str(folder))
    if name not in names():
        raise UsageError(
            f"--backbone={name} is not known: choose one of {', '.join(names())}, or a file of Keras, as net.keras."
        )
    return name


def _of_file(path: pathlib.Path) -> str:
    from tf_metadrop.nn.from_keras import of_config

    return remember(path.stem, of_config(keras_file(path), str(path)), f"--backbone={path}")


def remember(name: str, network: Described, source: str) -> str:
    """Registers a network of `source`; returns its name, or raises UsageError where that is another's."""
    here = getattr(load(name), "nodes", None) if name in names() else network.nodes
    if here != network.nodes:
        raise UsageError(f"{source} has another network than the one that is named {name} here: rename one of them.")
    if name not in names():
        register(name, network)
    return name


def described(name: str) -> Described | None:
    """The backbone of this name where it is a described one; any other is known by its name."""
    module: Any = load(name)
    return module if isinstance(module, Described) else None


def keep(folder: pathlib.Path, name: str) -> None:
    """Writes <folder>/backbone.json where the backbone is a described one."""
    if module := described(name):
        write(folder, name, module)
