"""A backbone that a file describes: backbone.json in a savedir, or a .keras file. Nothing here needs TensorFlow."""

from __future__ import annotations

import json
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tf_metadrop.errors import UsageError
from tf_metadrop.nn import nodes as network
from tf_metadrop.util import text

if TYPE_CHECKING:
    from tf_metadrop.data.spec import DatasetSpec
    from tf_metadrop.nn.graph import Graph
    from tf_metadrop.nn.nodes import Node

FILE, FORMAT = "backbone.json", 1


class Described:
    """Such networks as a value of --backbone, to be given to `backbones.register`.

    Args:
      nodes: the last one is the last layer.
      image: shape of the images that it is for.
      weights: where theta starts, by name; what is not in it is drawn.
    """

    def __init__(self, nodes: Sequence[Node], image: network.Shape, weights: Mapping[str, Any] | None = None):
        self.nodes, self.image, self.weights = list(nodes), tuple(image), dict(weights or {})
        network.shapes(self.nodes, self.image)

    def make(self, spec: DatasetSpec) -> Graph:
        """The network for the images of a data set.

        Raises:
          UsageError: they have another shape.
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
    (folder / FILE).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def read(path: pathlib.Path) -> tuple[str, Described]:
    """Name and backbone of a file that `write` wrote.

    Raises:
      UsageError: it is broken, or of another version.
    """
    try:
        found = json.loads(text.read(path))
        if found["format"] != FORMAT:
            raise UsageError(f"{path} has the format {found['format']}, this version reads {FORMAT}: install that one.")
        return str(found["name"]), Described(network.from_json(found["nodes"]), tuple(map(int, found["image"])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no description of a network ({error!r}): copy it again.") from error


def keras_file(path: pathlib.Path) -> dict[str, Any]:
    """What a .keras file says of its model, as its get_config() does; its weights are not read.

    Raises:
      UsageError: it is no such file.
    """
    try:
        with zipfile.ZipFile(path) as file:
            found = json.loads(file.read("config.json"))["config"]
        if not isinstance(found, dict):
            raise ValueError("it has no config")
        return found
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"--backbone={path} is no file that Keras's model.save wrote ({error}): give the path of one."
        ) from error
