"""Backbones: every file in this folder is a value of --backbone, named after the file.

A Keras model can be a backbone too: `register("mine", from_keras(model))`, or --backbone=mine.keras. Its description
is saved in the savedir (backbone.json).

The module of a backbone has `make(spec)`, which returns a `Backbone` for the images of a data set. The parameters are
one flat dict by name. The name tells the role of a parameter:

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

SUFFIX = ".keras"  # of a file that Keras saved
DEFAULTS = dict(filters=0, blocks=4, widths="64,160,320,640")  # options of backbones, which are fields of Config


class Blocks(Protocol):
    """The calls that a backbone makes in a forward pass, by which regulariser, noise type and normalisation act."""

    def enter(self, number: int, h: tf.Tensor) -> tf.Tensor:
        """The input of block `number`, from the features h."""

    def perturb(self, site: Site) -> tf.Tensor:
        """The output of a layer with its noise."""

    def leave(self, block: Block) -> tf.Tensor:
        """The output of a block."""

    def normalized(self, number: int, x: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
        """norm(x) + offset for features outside the blocks, as in a shortcut; `number` continues that of the blocks."""


class Backbone(Protocol):
    """A network for images of one shape.

    A backbone may also have these attributes:
      blocks: number of calls of `Blocks.enter`; default: the number of kernels.
      normalizations: number of normalisations; default: the number of kernels.
      weights: {name: initial value} of parameters that are not drawn.
      deviations: {name: standard deviation} of parameters that are drawn with another one than 0.02.
      nodes: a method nodes(way) that returns its operations (`nn.nodes`); it is needed for an export.
    """

    kernels: tuple[tuple[int, ...], ...]  # shapes of the kernels of the hidden layers with noise, in order
    features: int  # number of features before the last layer

    def shapes(self, way: int) -> dict[str, tuple[int, ...]]:
        """Shapes of all parameters, by name; the initial values are drawn in this order."""

    def first(self, params: Params, x: tf.Tensor) -> Site:
        """The first layer, for images x [..., batch, height, width, channels]."""

    def hidden(self, params: Params, x: tf.Tensor, blocks: Blocks) -> tf.Tensor:
        """Computes the features [..., batch, features] before the last layer."""

    def last(self, params: Params, f: tf.Tensor) -> Site:
        """The last layer, for features f [..., batch, features]."""


class Module(Protocol):
    """The interface of a file in this folder.

    It may also have OPTIONS, names of fields of Config, which `make` then takes as keyword arguments.
    """

    def make(self, spec: Any) -> Backbone:
        """Makes the backbone for a `data.DatasetSpec`."""


_registry: Registry[Module] = Registry(__name__, __path__, Module)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load


def options(name: str, config: Any) -> dict[str, Any]:
    """The arguments of a backbone's `make` besides the data set.

    Raises:
      UsageError: the config sets an option of another backbone.
    """
    own = getattr(load(name), "OPTIONS", ())
    for option, default in DEFAULTS.items():
        if option not in own and getattr(config, option) != default:
            raise UsageError(f"--{option}={getattr(config, option)} is not for --backbone={name}: leave it out.")
    return {option: getattr(config, option) for option in own}


def from_keras(model: Any, keep_weights: bool = False) -> Described:
    """Converts a Keras model to a backbone; see `nn.from_keras.from_keras`."""
    from tf_metadrop.nn.from_keras import from_keras as converted

    return converted(model, keep_weights)


def find(name: str, folder: pathlib.Path | None) -> str:
    """The name of a registered backbone: `name`, or for a .keras file, its name without suffix after registering it.

    Args:
      name: value of --backbone.
      folder: a savedir; if its backbone.json describes a backbone of this name, that is registered.
    Raises:
      UsageError: there is no such backbone, or the folder describes another one with this name.
    """
    if name.endswith(SUFFIX):
        return _of_file(paths.path(name))
    if folder and (folder / FILE).is_file():
        kept_name, kept = read(folder / FILE)
        if kept_name == name:
            return remember(name, kept, str(folder))
    if name not in names():
        raise UsageError(
            f"--backbone={name} is not known: choose one of {', '.join(names())}, or a Keras file, as net.keras."
        )
    return name


def _of_file(path: pathlib.Path) -> str:
    from tf_metadrop.nn.from_keras import of_config

    return remember(path.stem, of_config(keras_file(path), str(path)), f"--backbone={path}")


def remember(name: str, network: Described, source: str) -> str:
    """Registers a network from `source` and returns its name; raises UsageError if another network has that name."""
    here = getattr(load(name), "nodes", None) if name in names() else network.nodes
    if here != network.nodes:
        raise UsageError(f"{source} has a network {name} that differs from the one named {name} here: rename one.")
    if name not in names():
        register(name, network)
    return name


def described(name: str) -> Described | None:
    """The backbone of this name if a file describes it; None for a backbone that has a module."""
    module: Any = load(name)
    return module if isinstance(module, Described) else None


def keep(folder: pathlib.Path, name: str) -> None:
    """Writes <folder>/backbone.json if a file describes the backbone."""
    if module := described(name):
        write(folder, name, module)
