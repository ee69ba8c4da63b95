"""Converts a Keras model to `nodes`. Only the model's `get_config` is read: Keras is not imported here."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from tf_metadrop.errors import UsageError
from tf_metadrop.nn import nodes as network
from tf_metadrop.nn.described import Described
from tf_metadrop.nn.nodes import Node

EXTRAS = "_regularizer", "_constraint"  # suffixes of options that only Keras's own training applies
DEFAULT_SLOPE = 0.2  # of the activation function leaky_relu; the layer LeakyReLU has its own
SAME_NAME = {"swish": "silu"}
SOFTMAX = "softmax"  # left out after the last Dense, because the loss includes it
Layer = Mapping[str, Any]


def from_keras(model: Any, keep_weights: bool = False) -> Described:
    """Converts a Sequential or functional Keras 3 model to a backbone, for `backbones.register(name, ...)`.

    Meta-dropout's noise acts at each Conv2D and Dense; the noise generator (phi) has a layer of the same shape for
    each. The last Dense, with `way` units, is the last layer. BatchNormalization is replaced by ours, which is correct
    to second order and has no scale. See docs/guides/backbones.md for the layers that can be converted.

    Args:
      model: its input has the shape of the data set's images.
      keep_weights: whether theta starts from the model's kernels and biases; otherwise it is drawn from --seed.
    Raises:
      UsageError: a part of the model cannot be converted; the message names it.
    """
    kind = type(model).__name__
    try:
        config = model.get_config()
        if "layers" in config and not model.built:
            raise UsageError(f"{kind} {model.name} has no input shape: begin it with keras.Input((28, 28, 1)).")
    except (AttributeError, NotImplementedError, TypeError) as error:
        raise not_one(kind) from error
    walk = Walk.of(config, kind)
    return Described(walk.nodes, walk.image, weights_of(model, walk) if keep_weights else None)


def of_config(config: Layer, kind: str) -> Described:
    """Converts the config of a Keras model to a backbone; `kind` names the model in messages."""
    walk = Walk.of(config, kind)
    return Described(walk.nodes, walk.image)


def not_one(kind: str) -> UsageError:
    """The error for an object of another kind."""
    return UsageError(f"{kind} is not a Sequential or functional Keras model: build it as one of these.")


def chained(layers: list[Layer], config: Layer) -> list[Layer]:
    """The layers of a Sequential model in the form of a functional one."""
    found: list[Layer] = []
    before = None
    if not layers or layers[0]["class_name"] != "InputLayer":
        shape = config.get("build_input_shape")
        layers = [dict(class_name="InputLayer", config=dict(name="input", batch_shape=shape)), *layers]
    for layer in layers:
        history = dict(class_name="__keras_tensor__", config=dict(keras_history=[before, 0, 0]))
        calls: list[Layer] = [dict(args=[history], kwargs={})] if before else []
        before = layer["config"]["name"]
        found.append({**layer, "inbound_nodes": calls})
    return found


def sources(layer: Layer) -> list[str]:
    """Names of the layers whose results are inputs of this layer."""
    name, calls = layer["config"]["name"], layer["inbound_nodes"]
    if len(calls) != 1:
        raise refusal(layer, f"is used {len(calls)} times; build one for each place")
    taken = calls[0]["args"][0] if calls[0]["args"] else None
    taken = taken if isinstance(taken, list | tuple) else [taken]
    if not all(isinstance(each, Mapping) for each in taken):
        raise UsageError(f"the layer {name} takes an input that is not the result of a layer: leave it out.")
    return [each["config"]["keras_history"][0] for each in taken if isinstance(each, Mapping)]


def refusal(layer: Layer, why: str) -> UsageError:
    """An error that names a layer."""
    return UsageError(f"the layer {layer['config'].get('name')} ({layer['class_name']}) {why}.")


class Walk:
    """Goes through the layers of a model and collects their nodes."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.image: network.Shape = ()
        self.replaced: list[str] = []  # names of the BatchNormalization layers
        self.layer_of: dict[str, str] = {}  # name of a node -> name of its Keras layer
        self._places: dict[str, int] = {}  # name of a layer -> number of its result

    @classmethod
    def of(cls, config: Layer, kind: str) -> Walk:
        """Goes through a whole model."""
        if not isinstance(config, Mapping) or not isinstance(config.get("layers"), list):
            raise not_one(kind)
        walk, listed = cls(), config["layers"]
        for layer in listed if "input_layers" in config else chained(listed, config):
            walk.add(layer)
        walk.finish(config)
        if walk.replaced:
            print(
                f"{', '.join(walk.replaced)}: BatchNormalization is replaced by this program's, which always uses the "
                "statistics of the current batch and is correct to second order. It has an offset, no scale, and "
                "epsilon 1e-3."
            )
        return walk

    def add(self, layer: Layer) -> None:
        """Adds the nodes of a layer."""
        name = layer["config"]["name"]
        if layer["class_name"] == "InputLayer":
            self._enter(layer)
            self._places[name] = 0
            return
        taken = TAKEN.get(layer["class_name"]) if layer.get("module") == "keras.layers" else None
        if taken is None:
            raise refusal(layer, f"cannot be converted: leave it out, or use {', '.join(kind for kind in TAKEN)}")
        extras = [option for option, value in layer["config"].items() if option.endswith(EXTRAS) and value is not None]
        if extras:
            raise refusal(layer, f"has a {extras[0]}, which meta-learning does not apply: leave it out")
        if not layer["config"].get("trainable", True):
            raise refusal(layer, "is frozen, but every layer is meta-learned: set trainable=True")
        inputs = tuple(self._places[source] for source in sources(layer))
        self._places[name] = taken(self, layer, layer["config"], inputs)

    def finish(self, config: Layer) -> None:
        """Renames the last Dense; raises UsageError if the model does not end in one."""
        softmax = [node for node in self.nodes if node.options.get("function") == SOFTMAX]
        if softmax and softmax != self.nodes[-1:]:
            raise UsageError("the model has a softmax before its end: leave it out.")
        self.nodes = self.nodes[: len(self.nodes) - len(softmax)]
        ends = config.get("output_layers")
        if isinstance(ends, Mapping):
            raise UsageError("the model has named outputs: build it with one, the last Dense.")
        if ends is not None and (len(ends) != 3 or not isinstance(ends[0], str)) and len(ends) != 1:
            raise UsageError(f"the model has {len(ends)} outputs: build it with one, the last Dense.")
        if not self.nodes or self.nodes[-1].kind != "dense" or not self.nodes[-1].options["bias"]:
            raise UsageError("the model does not end in a Dense with bias and `way` units: add one.")
        unused = set(range(1, len(self.nodes))) - {number for node in self.nodes for number in node.inputs}
        if unused:
            raise UsageError(f"the result of {self.nodes[min(unused) - 1].name} is not used: leave it out.")
        self.layer_of["dense"] = self.layer_of.pop(self.nodes[-1].name)
        self.nodes[-1] = self.nodes[-1]._replace(name="dense")

    def _put(self, kind: str, inputs: tuple[int, ...], **options: Any) -> int:
        """Adds a node; returns its number."""
        count = sum(node.kind == kind for node in self.nodes) + 1
        self.nodes.append(Node(kind, f"{kind}{count}", inputs, options))
        return len(self.nodes)

    def _enter(self, layer: Layer) -> None:
        shape = layer["config"].get("batch_shape") or ()
        if self.image or len(shape) != 4 or None in shape[1:]:
            raise refusal(layer, "must be the only input, of images (height, width, channels), all three given")
        self.image = tuple(shape[1:])

    def _weighted(self, kind: str, layer: Layer, inputs: tuple[int, ...], **options: Any) -> int:
        """Adds a convolution or dense layer, and its activation."""
        config = layer["config"]
        place = self._put(kind, inputs, bias=config["use_bias"], noise=True, **options)
        self.layer_of[self.nodes[-1].name] = config["name"]
        return self._activated(layer, config["activation"], place)

    def _activated(self, layer: Layer, activation: Any, place: int, slope: float = DEFAULT_SLOPE) -> int:
        """Adds the activation of result `place`."""
        name = activation.get("config", activation) if isinstance(activation, Mapping) else activation
        name = SAME_NAME.get(name, name) if isinstance(name, str) else name
        if name in ("linear", None):
            return place
        if name not in (*network.ACTIVATIONS, SOFTMAX):
            raise refusal(layer, f"has the activation {name}: choose one of {', '.join(network.ACTIVATIONS)}")
        return self._put("activation", (place,), function=name, slope=slope if name == "leaky_relu" else 0.0)

    def _conv2d(self, layer: Layer, config: Layer, inputs: tuple[int, ...]) -> int:
        plain = config["dilation_rate"], config["groups"], config["data_format"]
        if (list(plain[0]), *plain[1:]) != ([1, 1], 1, "channels_last"):
            raise refusal(layer, "has a dilation, groups, or channels first: leave that out")
        self._padded(layer)
        size, strides = list(config["kernel_size"]), list(config["strides"])
        more = dict(filters=config["filters"], size=size, strides=strides, padding=config["padding"])
        return self._weighted("conv", layer, inputs, **more)

    def _padded(self, layer: Layer) -> None:
        if layer["config"]["padding"] not in network.PADDINGS or layer["config"]["data_format"] != "channels_last":
            raise refusal(layer, "needs padding same or valid, and channels last")

    def _dense(self, layer: Layer, config: Layer, inputs: tuple[int, ...]) -> int:
        return self._weighted("dense", layer, inputs, units=config["units"])

    def _batchnormalization(self, layer: Layer, config: Layer, inputs: tuple[int, ...]) -> int:
        if not any(node.kind in ("conv", "dense") for node in self.nodes):
            raise refusal(layer, "comes before the first Conv2D or Dense: put it after that")
        axis = config["axis"][0] if isinstance(config["axis"], list | tuple) else config["axis"]
        if axis not in (-1, 1, 3) or (axis == 1 and len(network.shapes(self.nodes, self.image)[inputs[0]]) != 1):
            raise refusal(layer, f"normalises along axis {axis}: use the channels, axis -1")
        self.replaced.append(config["name"])
        return self._put("norm", inputs, number=len(self.replaced))

    def _activation(self, layer: Layer, config: Layer, inputs: tuple[int, ...]) -> int:
        return self._activated(layer, config["activation"], inputs[0])

    def _softmax(self, layer: Layer, config: Layer, inputs: tuple[int, ...]) -> int:
        return self._activated(layer, SOFTMAX, inputs[0])

    def _relu(self, layer: Layer, config: Layer, inputs: tuple[int, ...]) -> int:
        highest, slope, threshold = config["max_value"], config["negative_slope"], config["threshold"]
        if threshold or highest not in (None, 6) or (highest and slope):
            raise refusal(layer, "has a threshold or a max_value other than 6: leave that out")
        name = "leaky_relu" if slope else "relu6" if highest else "relu"
        return self._activated(layer, name, inputs[0], float(slope or 0))

    def _leakyrelu(self, layer: Layer, config: Layer, inputs: tuple[int, ...]) -> int:
        return self._activated(layer, "leaky_relu", inputs[0], float(config["negative_slope"]))

    def _pool(self, function: str, layer: Layer, inputs: tuple[int, ...]) -> int:
        self._padded(layer)
        config = layer["config"]
        size, strides = list(config["pool_size"]), list(config["strides"] or config["pool_size"])
        return self._put("pool", inputs, function=function, size=size, strides=strides, padding=config["padding"])

    def _maxpooling2d(self, layer: Layer, config: Layer, inputs: tuple[int, ...]) -> int:
        return self._pool("max", layer, inputs)

    def _averagepooling2d(self, layer: Layer, config: Layer, inputs: tuple[int, ...]) -> int:
        return self._pool("average", layer, inputs)

    def _over_all(self, function: str, layer: Layer, inputs: tuple[int, ...]) -> int:
        if layer["config"].get("keepdims") or layer["config"]["data_format"] != "channels_last":
            raise refusal(layer, "keeps its dimensions, or has channels first: leave that out")
        return self._put("global", inputs, function=function)

    def _globalaveragepooling2d(self, layer: Layer, config: Layer, inputs: tuple[int, ...]) -> int:
        return self._over_all("average", layer, inputs)

    def _globalmaxpooling2d(self, layer: Layer, config: Layer, inputs: tuple[int, ...]) -> int:
        return self._over_all("max", layer, inputs)

    def _flatten(self, layer: Layer, config: Layer, inputs: tuple[int, ...]) -> int:
        if config.get("data_format", "channels_last") != "channels_last":
            raise refusal(layer, "has channels first: leave that out")
        flat = len(network.shapes(self.nodes, self.image)[inputs[0]]) == 1
        return inputs[0] if flat else self._put("flatten", inputs)

    def _add(self, layer: Layer, config: Layer, inputs: tuple[int, ...]) -> int:
        return self._put("add", inputs)


TAKEN: dict[str, Callable[[Walk, Layer, Layer, tuple[int, ...]], int]] = {
    "Conv2D": Walk._conv2d,
    "Dense": Walk._dense,
    "BatchNormalization": Walk._batchnormalization,
    "Activation": Walk._activation,
    "ReLU": Walk._relu,
    "LeakyReLU": Walk._leakyrelu,
    "Softmax": Walk._softmax,
    "MaxPooling2D": Walk._maxpooling2d,
    "AveragePooling2D": Walk._averagepooling2d,
    "GlobalMaxPooling2D": Walk._globalmaxpooling2d,
    "GlobalAveragePooling2D": Walk._globalaveragepooling2d,
    "Flatten": Walk._flatten,
    "Add": Walk._add,
}


def weights_of(model: Any, walk: Walk) -> dict[str, Any]:
    """Kernels and biases of the model, by their names in theta."""
    found: dict[str, Any] = {}
    for name, layer in walk.layer_of.items():
        kernel, *bias = model.get_layer(layer).get_weights()
        found |= {f"theta/{name}_w": kernel} | ({f"theta/{name}_b": bias[0]} if bias else {})
    trained = [name for name in walk.replaced if is_trained(model.get_layer(name))]
    if trained:
        warnings.warn(
            f"gamma and beta of {', '.join(trained)} are not kept, so the network does not begin as the Keras model.",
            stacklevel=3,
        )
    return found


def is_trained(normalization: Any) -> bool:
    """Whether a BatchNormalization has another gamma than 1 or another beta than 0."""
    gamma, beta = (getattr(normalization, name, None) for name in ("gamma", "beta"))
    return any(w is not None and bool((w.numpy() != start).any()) for w, start in ((gamma, 1), (beta, 0)))
