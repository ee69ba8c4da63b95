"""A backbone made of `nodes`, as from a user's Keras model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tf_metadrop.errors import UsageError
from tf_metadrop.nn import layers, windows
from tf_metadrop.nn import nodes as network
from tf_metadrop.nn.site import Site, Weights

if TYPE_CHECKING:
    from tf_metadrop.nn.backbones import Blocks
    from tf_metadrop.nn.nodes import Node
    from tf_metadrop.nn.types import Params

ACTIVATIONS: dict[str, Callable[..., tf.Tensor]] = {name: getattr(tf.nn, name) for name in network.ACTIVATIONS} | {
    "softsign": lambda x: x / (1 + tf.abs(x))  # TensorFlow's has no second derivative
}


class Graph:
    """A `backbones.Backbone` of nodes; noise acts at nodes with the option noise: each Conv2D and Dense of Keras."""

    blocks = 0  # regularisers that act in blocks therefore cannot be used

    def __init__(self, nodes: Sequence[Node], image: network.Shape, weights: Mapping[str, Any]):
        self._nodes, self.weights = nodes, weights
        self._shapes = network.shapes(nodes, image)
        self._layers = [number for number, node in enumerate(nodes, 1) if node.options.get("noise")]
        self.kernels = tuple(self._kernel(number) for number in self._layers[:-1])
        self.features = self._shapes[nodes[-1].inputs[0]][0]
        self.normalizations = sum(node.kind == "norm" for node in nodes)
        self.deviations = self._deviations()

    def _kernel(self, number: int) -> network.Shape:
        node = self._nodes[number - 1]
        return node.kernel(self._shapes[node.inputs[0]])

    def _deviations(self) -> dict[str, float]:
        """Glorot's standard deviations, for theta's hidden kernels without a normalisation after them.

        The default deviation is so small that the signal would vanish there. Before a normalisation, the scale of a
        kernel does not matter.
        """
        normalised = {node.inputs[0] for node in self._nodes if node.kind == "norm"}
        found = {}
        for number, node in enumerate(self._nodes[:-1], 1):
            if node.kind in ("conv", "dense") and number not in normalised:
                *window, entering, leaving = self._kernel(number)
                found[node.theta()[0]] = math.sqrt(2 / (math.prod(window) * (entering + leaving)))
        return found

    def nodes(self, way: int) -> list[Node]:
        """The operations of the network.

        Raises:
          UsageError: the last layer does not have `way` outputs.
        """
        units = self._nodes[-1].options["units"]
        if units != way:
            raise UsageError(
                f"the last Dense of --backbone has {units} units, but a task has --way={way} classes: give both the "
                "same number."
            )
        return list(self._nodes)

    def shapes(self, way: int) -> dict[str, tuple[int, ...]]:
        """Shapes of all parameters, by name."""
        theta: dict[str, tuple[int, ...]] = {}
        phi: dict[str, tuple[int, ...]] = {}
        offsets: dict[str, tuple[int, ...]] = {}
        for number, node in enumerate(self.nodes(way), 1):
            if node.kind == "norm":
                offsets[f"{node.name}/beta"] = self._shapes[number][-1:]
            elif node.kind in ("conv", "dense"):
                kernel, is_last = self._kernel(number), number == len(self._nodes)
                weights, bias = node.theta()
                theta |= {weights: kernel} | ({bias: kernel[-1:]} if bias else {})
                outputs = (1,) if is_last else kernel[-1:]
                if number in self._layers:
                    phi |= dict(zip(node.phi(), ((*kernel[:-1], *outputs), outputs), strict=True))
        return theta | phi | offsets

    def site(self, params: Params, number: int, h: tf.Tensor) -> Site:
        """The layer of node `number`, which has noise."""
        node, place = self._nodes[number - 1], self._layers.index(number) + 1
        phi = Weights(*[params[name] for name in node.phi()])
        return Site(place, h, affine(node), theta_of(node, params), phi, first=place == 1, normalized=False)

    def first(self, params: Params, x: tf.Tensor) -> Site:
        """The first layer, for images x; nothing before it has parameters."""
        values, first = [x], self._layers[0]
        for node in self._nodes[: first - 1]:
            values.append(apply(node, [values[number] for number in node.inputs]))
        return self.site(params, first, values[self._nodes[first - 1].inputs[0]])

    def hidden(self, params: Params, x: tf.Tensor, blocks: Blocks) -> tf.Tensor:
        """The features [..., batch, features] of images x [..., batch, height, width, channels]; see `Blocks`."""
        values = [x]
        for number, node in enumerate(self._nodes[:-1], 1):
            entering = [values[source] for source in node.inputs]
            if number in self._layers:
                found = blocks.perturb(self.site(params, number, entering[0]))
            elif node.kind in ("conv", "dense"):
                found = affine(node)(entering[0], theta_of(node, params))[0]
            elif node.kind == "norm":
                offset = params[f"{node.name}/beta"]
                found = as_maps(entering[0], len(self._shapes[number]) == 1, offset, node.options["number"], blocks)
            else:
                found = apply(node, entering)
            values.append(found)
        return layers.up(values[self._nodes[-1].inputs[0]])

    def last(self, params: Params, f: tf.Tensor) -> Site:
        """The last layer, for features f."""
        return self.site(params, len(self._nodes), f)


def affine(node: Node) -> Callable[..., list[tf.Tensor]]:
    """The function `Site.affine` of a node."""
    if node.kind == "dense":
        return windows.denses
    return partial(windows.convs, strides=node.options["strides"], padding=node.options["padding"])


def theta_of(node: Node, params: Params) -> Weights:
    """The weights of a convolution or dense layer."""
    kernel, bias = node.theta()
    return Weights(params[kernel], params[bias] if bias else None)


def as_maps(x: tf.Tensor, flat: bool, offset: tf.Tensor, number: int, blocks: Blocks) -> tf.Tensor:
    """norm(x) + offset; features [..., batch, features] (flat) are normalised as maps of one pixel."""
    maps = tf.reshape(x, [*x.shape[:-1], 1, 1, x.shape[-1]]) if flat else x
    found = blocks.normalized(number, maps, offset)
    return tf.reshape(found, x.shape) if flat else found


def apply(node: Node, entering: Sequence[tf.Tensor]) -> tf.Tensor:
    """The result of an operation without parameters."""
    of, x = node.options, entering[0]
    if node.kind == "add":
        return tf.add_n(list(entering))
    if node.kind == "flatten":
        return layers.reshape_flat(x)
    if node.kind == "global":
        return tf.cast(windows.OVER_ALL[of["function"]](layers.up(x)), x.dtype)
    if node.kind == "pool":
        return windows.POOLS[of["function"]](x, of["size"], of["strides"], of["padding"])
    more = dict(alpha=of["slope"]) if of["function"] == "leaky_relu" else {}
    return ACTIVATIONS[of["function"]](x, **more)
