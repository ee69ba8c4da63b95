"""Builds a Keras model of an adapted network, with Keras's own layers and without batch statistics. Imports Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_metadrop.errors import UsageError
from tf_metadrop.nn.normalization.batch import EPSILON
from tf_metadrop.nn.site import Weights

if TYPE_CHECKING:
    from tf_metadrop.nn.nodes import Node, Shape
    from tf_metadrop.nn.statistics import Statistics
    from tf_metadrop.nn.types import Params

Mean = Callable[[Weights, Weights], tuple[Weights, "Weights | None"]]  # see `methods.noise.NoiseType`
FIXED = "batch", "support"  # normalisations whose predictions use only the support images' statistics
OF_AN_IMAGE = "layer", "instance"  # normalisations that use the statistics of the image itself
NORMALIZED = dict.fromkeys(FIXED, "by the support images' statistics") | dict.fromkeys(OF_AN_IMAGE, "by its own")
POOLS = {"max": "MaxPooling2D", "average": "AveragePooling2D"}
OVER_ALL = {"max": "GlobalMaxPooling2D", "average": "GlobalAveragePooling2D"}


def check_normalization(name: str) -> None:
    """Raises UsageError if no layer of Keras computes this normalisation."""
    if name not in NORMALIZED:
        raise UsageError(
            f"--normalization={name} cannot be exported, because Keras has no layer for it (tasknorm mixes the support "
            f"images' statistics with each image's own): train with one of {', '.join(NORMALIZED)}."
        )


def build(
    nodes: Sequence[Node],
    image: Shape,
    params: Params,
    statistics: Statistics,
    normalization: str,
    mean: Mean,
    large: bool = False,
) -> Any:
    """Builds the keras.Model from images [n, height, width, channels] in [0, 1] to probabilities [n, classes].

    Args:
      nodes: operations of the network.
      image: shape of an image.
      params: adapted parameters, in float32.
      statistics: those of the support images, for each normalisation.
      normalization: its name.
      mean: the function `mean` of the noise type; see `methods.noise.NoiseType`.
      large: whether softplus is written so that it cannot overflow where it is computed as log(1 + exp(a)), as in
        TFLite. The model then has operations of Keras besides its layers.
    """
    import keras

    entering = keras.Input(image, name="images")
    found: list[Any] = [entering]
    for node in nodes:
        h, *others = [found[number] for number in node.inputs]
        if node.kind in ("conv", "dense"):
            theta, gate = _weights(node, params, mean, is_last=node is nodes[-1])
            found.append(_gated(keras, node, h, theta, gate, large))
        elif node.kind == "norm":
            number, offset = node.options["number"] - 1, params[f"{node.name}/beta"]
            found.append(_norm(keras, normalization, h, offset, statistics[number] if statistics else ()))
        else:
            found.append(_plain(keras, node)([h, *others] if others else h))
    return keras.Model(entering, keras.layers.Softmax(name="probabilities")(found[-1]), name="classifier")


def _weights(node: Node, params: Params, mean: Mean, is_last: bool) -> tuple[Weights, Weights | None]:
    """The weights of a layer, and those of its gate if it has one."""
    kernel, bias = node.theta()
    theta = Weights(params[kernel], params[bias] if bias else None)
    if is_last or not node.options["noise"]:
        return theta, None
    return mean(theta, Weights(*[params[name] for name in node.phi()]))


def _layer(keras: Any, node: Node, weights: Weights, h: Any) -> Any:
    """A convolution or dense layer with these weights."""
    of, bias = node.options, weights.bias is not None
    if node.kind == "dense":
        layer = keras.layers.Dense(weights.kernel.shape[-1], use_bias=bias)
    else:
        size, strides = tuple(of["size"]), tuple(of["strides"])
        layer = keras.layers.Conv2D(of["filters"], size, strides, of["padding"], use_bias=bias)
    found = layer(h)
    layer.set_weights([np.asarray(weights.kernel), *([np.asarray(weights.bias)] if bias else [])])
    return found


def _gated(keras: Any, node: Node, h: Any, theta: Weights, gate: Weights | None, large: bool) -> Any:
    """A layer, times the softplus of its gate if it has one."""
    x = _layer(keras, node, theta, h)
    if gate is None:
        return x
    a = _layer(keras, node, gate, h)
    if large:
        return x * (keras.ops.relu(a) + keras.ops.softplus(-keras.ops.absolute(a)))
    return keras.layers.Multiply()([x, keras.layers.Activation("softplus")(a)])


def _norm(keras: Any, name: str, h: Any, offset: Any, statistics: tuple) -> Any:
    """A normalisation that does not depend on other images of the batch."""
    beta, channels = np.asarray(offset), h.shape[-1]
    if name in FIXED:  # constant statistics: Keras's layer is wrong to second order only where it computes them
        layer = keras.layers.BatchNormalization(epsilon=EPSILON, scale=False)
        found = layer(h)
        layer.set_weights([beta, *[np.reshape(np.asarray(each), [channels]) for each in statistics]])
    elif name == "layer":
        layer = keras.layers.LayerNormalization(axis=list(range(1, len(h.shape))), epsilon=EPSILON, scale=False)
        found = layer(h)
        layer.set_weights([np.broadcast_to(beta, h.shape[1:])])
    else:
        layer = keras.layers.GroupNormalization(groups=channels, epsilon=EPSILON, scale=False)
        found = layer(h)
        layer.set_weights([beta])
    return found


def _plain(keras: Any, node: Node) -> Any:
    """The layer of an operation without parameters."""
    of = node.options
    if node.kind == "activation":
        if of["function"] == "leaky_relu":
            return keras.layers.LeakyReLU(negative_slope=of["slope"])
        return keras.layers.Activation(of["function"])
    if node.kind == "pool":
        layer = getattr(keras.layers, POOLS[of["function"]])
        return layer(tuple(of["size"]), tuple(of["strides"]), of["padding"])
    if node.kind == "global":
        return getattr(keras.layers, OVER_ALL[of["function"]])()
    return keras.layers.Flatten() if node.kind == "flatten" else keras.layers.Add()
