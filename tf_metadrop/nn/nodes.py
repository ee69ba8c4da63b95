"""A network as a list of its operations, which JSON can hold: the form for Keras models and for exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from tf_metadrop.errors import UsageError

Shape: TypeAlias = tuple[int, ...]  # of a result for one image: (height, width, channels) or (features,)

# Options of each kind of operation: name -> type in JSON. All are required.
KINDS: dict[str, dict[str, type]] = {
    "conv": dict(filters=int, size=list, strides=list, padding=str, bias=bool, noise=bool),
    "dense": dict(units=int, bias=bool, noise=bool),
    "norm": dict(number=int),  # a normalisation without scale, and its number in the network
    "activation": dict(function=str, slope=float),  # slope of leaky_relu left of 0; 0 for others
    "pool": dict(function=str, size=list, strides=list, padding=str),  # function: max or average
    "global": dict(function=str),
    "flatten": {},
    "add": {},
}
PADDINGS, POOLS = ("same", "valid"), ("max", "average")
ACTIVATIONS = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "softplus", "softsign",
)  # fmt: skip


class Node(NamedTuple):
    """One operation.

    Attributes:
      kind: one of KINDS.
      name: part of the names of its parameters: theta/<name>_w and _b, phi/<name>_w and _b, <name>/beta.
      inputs: numbers of the operations whose results it takes, counted from 1; 0 stands for the images.
      options: see KINDS.
      phi_bias: name of phi's bias if it differs from phi/<name>_b.
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    options: Mapping[str, Any]
    phi_bias: str = ""

    def theta(self) -> tuple[str, str | None]:
        """Names of theta's kernel and bias; the bias is None if there is none."""
        return f"theta/{self.name}_w", f"theta/{self.name}_b" if self.options["bias"] else None

    def phi(self) -> tuple[str, str]:
        """Names of the noise generator's kernel and bias."""
        return f"phi/{self.name}_w", self.phi_bias or f"phi/{self.name}_b"

    def kernel(self, entering: Shape) -> Shape:
        """The shape of the kernel of a convolution or dense layer, for an input of this shape."""
        if self.kind == "dense":
            return (*entering, self.options["units"])
        return (*self.options["size"], entering[-1], self.options["filters"])


def conv(
    name: str, source: int, filters: int, size: int = 3, bias: bool = True, noise: bool = True, **more: Any
) -> Node:
    """A convolution with padding SAME and stride 1."""
    options = dict(filters=filters, size=[size, size], strides=[1, 1], padding="same", bias=bias, noise=noise)
    return Node("conv", name, (source,), options, **more)


def last(source: int, units: int) -> Node:
    """The last layer."""
    return Node("dense", "dense", (source,), dict(units=units, bias=True, noise=True))


def norm(name: str, source: int, number: int) -> Node:
    """A normalisation with its number in the network."""
    return Node("norm", name, (source,), dict(number=number))


def activation(function: str, source: int, slope: float = 0.0) -> Node:
    """An activation."""
    return Node("activation", function, (source,), dict(function=function, slope=slope))


def max_pool(source: int) -> Node:
    """A 2x2 max-pool."""
    return Node("pool", "pool", (source,), dict(function="max", size=[2, 2], strides=[2, 2], padding="valid"))


def extent(length: int, size: int, stride: int, padding: str) -> int:
    """The number of windows of this size along an axis."""
    return -(-length // stride) if padding == "same" else (length - size) // stride + 1


def shapes(nodes: Sequence[Node], image: Shape) -> list[Shape]:
    """Shapes of the images and of all results.

    Raises:
      UsageError: an operation does not fit the shape of its input.
    """
    found = [image]
    for node in nodes:
        found.append(_shape(node, [found[number] for number in node.inputs]))
    return found


def _shape(node: Node, entering: list[Shape]) -> Shape:
    """The shape of a node's result."""
    of, (first, *others) = node.options, entering
    if node.kind == "add":
        _require(all(other == first for other in others), f"{node.name} adds results of shapes {entering}")
        return first
    if node.kind == "dense":
        _require(len(first) == 1, f"{node.name} (Dense) gets maps of shape {first}: flatten or average them before it")
        return (of["units"],)
    if node.kind in ("conv", "pool", "global", "flatten"):
        _require(len(first) == 3, f"{node.name} gets {first[0]} features, but needs maps")
    if node.kind in ("conv", "pool"):
        sizes = tuple(extent(*each, of["padding"]) for each in zip(first[:2], of["size"], of["strides"], strict=True))
        _require(min(sizes) > 0, f"{node.name} gets maps of {first[0]}x{first[1]} pixels, which are too small")
        return (*sizes, of["filters"] if node.kind == "conv" else first[-1])
    if node.kind in ("global", "flatten"):
        features = first[-1]
        for side in first[:-1] if node.kind == "flatten" else ():
            features *= side
        return (features,)
    return first


def _require(fits: bool, sentence: str) -> None:
    if not fits:
        raise UsageError(f"the network cannot be built: {sentence}.")


def as_json(nodes: Sequence[Node]) -> list[dict[str, Any]]:
    """The nodes in a form that JSON can hold."""
    return [dict(kind=node.kind, name=node.name, inputs=list(node.inputs), **node.options) for node in nodes]


def from_json(found: Any) -> list[Node]:
    """Makes nodes from the result of `as_json`.

    Raises:
      ValueError: it is something else.
    """
    nodes: list[Node] = []
    for each in found:
        options = KINDS[each["kind"]]
        if each.keys() != {"kind", "name", "inputs", *options}:
            raise ValueError(f"{each.get('name')} has other entries than {sorted(options)}")
        inputs = tuple(each["inputs"])
        if not inputs or not all(type(number) is int and 0 <= number <= len(nodes) for number in inputs):
            raise ValueError(f"{each['name']} takes results that do not exist")
        for option, kind in options.items():
            if not _usable(option, each[option], kind):
                raise ValueError(f"{each['name']} has {option}={each[option]!r}")
        nodes.append(Node(each["kind"], str(each["name"]), inputs, {option: each[option] for option in options}))
    if not nodes or nodes[-1].kind != "dense":
        raise ValueError("it does not end in a dense layer")
    return nodes


def _usable(option: str, value: Any, kind: type) -> bool:
    """Whether an option can have this value."""
    whole: Callable[[Any], bool] = lambda number: type(number) is int and number > 0
    if kind is list:
        return type(value) is list and len(value) == 2 and all(map(whole, value))
    if kind is int:
        return whole(value)
    if kind is float:
        return type(value) in (int, float)
    known = {"padding": PADDINGS, "function": (*POOLS, *ACTIVATIONS)}
    return type(value) is kind and (kind is bool or value in known[option])
