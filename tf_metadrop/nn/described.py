"""Backbones that a file describes: backbone.json in a savedir, or a .keras file. Nothing here needs TensorFlow."""

from __future__ import annotations

import json
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tf_metadrop.errors import UsageError
from tf_metadrop.nn import nodes as network
from tf_metadrop.util import atomic, npz, text

if TYPE_CHECKING:
    from tf_metadrop.data.spec import DatasetSpec
    from tf_metadrop.nn.graph import Graph
    from tf_metadrop.nn.nodes import Node

FILE, FORMAT = "backbone.json", 1


class Described:
    """A network of nodes as a value of --backbone; give it to `backbones.register`.

    Args:
      nodes: its operations; the last one is the last layer.
      image: shape of the images that it takes.
      weights: initial values of theta, by name; parameters that are not in it are drawn.
    """

    def __init__(self, nodes: Sequence[Node], image: network.Shape, weights: Mapping[str, Any] | None = None):
        self.nodes, self.image, self.weights = list(nodes), tuple(image), dict(weights or {})
        network.shapes(self.nodes, self.image)

    def make(self, spec: DatasetSpec) -> Graph:
        """Makes the network for the images of a data set.

        Raises:
          UsageError: the images have another shape.
        """
        if spec.image_shape != self.image:
            shape = lambda sizes: "x".join(map(str, sizes))
            raise UsageError(
                f"--backbone is a network for images of {shape(self.image)}, but {spec.name} has "
                f"{shape(spec.image_shape)}: build it with that input shape."
            )
        from tf_metadrop.nn.graph import Graph

        return Graph(self.nodes, self.image, self.weights)


def write(folder: pathlib.Path, name: str, module: Described) -> None:
    """Writes <folder>/backbone.json."""
    found = dict(format=FORMAT, name=name, image=list(module.image), nodes=network.as_json(module.nodes))
    atomic.write(folder / FILE, (json.dumps(found, indent=1) + "\n").encode())


def read(path: pathlib.Path) -> tuple[str, Described]:
    """Reads the name and the backbone from a file that `write` wrote.

    Raises:
      UsageError: it is broken, or another version wrote it.
    """
    try:
        found = json.loads(text.read(path))
        if found["format"] != FORMAT:
            raise UsageError(
                f"{path} has the format {found['format']}, but this version reads {FORMAT}: install the version that "
                "wrote it."
            )
        return str(found["name"]), Described(network.from_json(found["nodes"]), tuple(map(int, found["image"])))
    except UsageError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a description of a network ({error!r}): copy it again.") from error


def keras_file(path: pathlib.Path) -> dict[str, Any]:
    """Reads the config of the model in a .keras file, as its get_config() returns; the weights are not read.

    Raises:
      UsageError: it is not a .keras file.
    """
    try:
        with zipfile.ZipFile(path) as file:
            found = json.loads(file.read("config.json"))["config"]
        if not isinstance(found, dict):
            raise ValueError("it has no config")
        return found
    except npz.BROKEN as error:
        raise UsageError(
            f"--backbone={path} is not a file that Keras's model.save wrote ({error}): give the path of one."
        ) from error
