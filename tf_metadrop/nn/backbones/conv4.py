"""Conv-4, the paper's network (docs/reference/tf1_behaviour.md, "Network"), with the TF1 program's parameter names.

It has four blocks (--blocks), each with a 3x3 convolution (--filters), noise, normalisation, ReLU and a 2x2 max-pool,
and then one dense layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_metadrop.errors import UsageError
from tf_metadrop.nn import layers, nodes
from tf_metadrop.nn.site import Block, Site, Weights

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.data.spec import DatasetSpec
    from tf_metadrop.nn.backbones import Blocks
    from tf_metadrop.nn.nodes import Node
    from tf_metadrop.nn.types import Params

OPTIONS = "filters", "blocks"


class Conv4:
    """The Conv-4 network.

    Args:
      height, width, channels: of the images; each side has at least 2**blocks pixels.
      filters: number of channels of every block.
      blocks: number of blocks.
    """

    def __init__(self, height: int, width: int, channels: int, filters: int, blocks: int = 4):
        self._layers = range(1, blocks + 1)
        self.features = (height >> blocks) * (width >> blocks) * filters  # 64 (omniglot), 800 (mimgnet)
        self.kernels: tuple[tuple[int, ...], ...] = tuple(
            (3, 3, channels if layer == 1 else filters, filters) for layer in self._layers
        )

    def shapes(self, way: int) -> dict[str, tuple[int, ...]]:
        """Shapes of all parameters, by their TF1 names (phi's biases are called conb there)."""
        theta: dict[str, tuple[int, ...]] = {}
        phi: dict[str, tuple[int, ...]] = {}
        offsets = {}
        for layer, kernel in zip(self._layers, self.kernels, strict=True):
            theta |= {f"theta/conv{layer}_w": kernel, f"theta/conv{layer}_b": kernel[-1:]}
            phi |= {f"phi/conv{layer}_w": kernel, f"phi/conb{layer}_b": kernel[-1:]}
            offsets[f"conv{layer}_bn/beta"] = kernel[-1:]
        theta |= {"theta/dense_w": (self.features, way), "theta/dense_b": (way,)}
        phi |= {"phi/dense_w": (self.features, 1), "phi/dense_b": (1,)}
        return theta | phi | offsets

    def nodes(self, way: int) -> list[Node]:
        """The operations of the network (`nn.nodes`)."""
        found: list[Node] = []
        for layer, kernel in zip(self._layers, self.kernels, strict=True):
            found.append(nodes.conv(f"conv{layer}", len(found), kernel[-1], phi_bias=f"phi/conb{layer}_b"))
            found.append(nodes.norm(f"conv{layer}_bn", len(found), layer))
            found.append(nodes.activation("relu", len(found)))
            found.append(nodes.max_pool(len(found)))
        found.append(nodes.Node("flatten", "flatten", (len(found),), {}))
        return [*found, nodes.last(len(found), way)]

    def site(self, params: Params, layer: int, h: tf.Tensor) -> Site:
        """The convolution of a block."""
        theta = Weights(params[f"theta/conv{layer}_w"], params[f"theta/conv{layer}_b"])
        phi = Weights(params[f"phi/conv{layer}_w"], params[f"phi/conb{layer}_b"])
        return Site(layer, h, layers.convs, theta, phi, first=layer == 1)

    def first(self, params: Params, x: tf.Tensor) -> Site:
        """The first convolution, for images x."""
        return self.site(params, 1, x)

    def hidden(self, params: Params, x: tf.Tensor, blocks: Blocks) -> tf.Tensor:
        """The features [..., batch, features] of images x [..., batch, height, width, channels]; see `Blocks`."""
        h = x
        for layer in self._layers:
            h = blocks.enter(layer, h)
            x = blocks.perturb(self.site(params, layer, h))
            h = blocks.leave(Block(layer, h, x, params[f"conv{layer}_bn/beta"], layers.pool, layers.conv))
        return layers.reshape_flat(h)

    def last(self, params: Params, f: tf.Tensor) -> Site:
        """The dense layer."""
        theta = Weights(params["theta/dense_w"], params["theta/dense_b"])
        phi = Weights(params["phi/dense_w"], params["phi/dense_b"])
        return Site(len(self._layers) + 1, f, layers.denses, theta, phi)


def make(spec: DatasetSpec, filters: int = 0, blocks: int = 4) -> Conv4:
    """Makes the Conv-4 for the images of a data set.

    Args:
      spec: the data set.
      filters: number of channels; 0: as in the paper for this data set.
      blocks: number of blocks.
    Raises:
      UsageError: the images are too small for this number of blocks.
    """
    if min(spec.height, spec.width) < 2**blocks:
        raise UsageError(
            f"--blocks={blocks} halves an image {blocks} times, and {spec.name} with {spec.height}x{spec.width} pixels "
            "is too small for that: lower it."
        )
    return Conv4(spec.height, spec.width, spec.channels, filters or spec.filters, blocks)
