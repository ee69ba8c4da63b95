"""ResNet-12, as in TADAM (https://arxiv.org/abs/1805.10123) and MetaOptNet (https://arxiv.org/abs/1904.03758).

It has four blocks, each of which computes

  h = act(norm(conv(h)));  h = act(norm(conv(h)));  h = max_pool(act(norm(conv(h)) + norm(conv1x1(block's input))))

conv is a 3x3 convolution without bias, act(z) = max(z, 0.1 z), and max_pool is 2x2. Then follow the mean over the
pixels and one dense layer. There is no DropBlock. Noise acts at each 3x3 convolution; phi has a convolution of the same
shape, with a bias, for each. This is our choice: the paper has only Conv-4.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import tensorflow as tf

from tf_metadrop.errors import UsageError
from tf_metadrop.nn import layers, nodes
from tf_metadrop.nn.site import Block, Site, Weights

if TYPE_CHECKING:
    from tf_metadrop.data.spec import DatasetSpec
    from tf_metadrop.nn.backbones import Blocks
    from tf_metadrop.nn.nodes import Node
    from tf_metadrop.nn.types import Params

OPTIONS = ("widths",)
BLOCKS, CONVS = (1, 2, 3, 4), (1, 2, 3)
LEAK = 0.1
SMALLEST = 2 ** len(BLOCKS)  # pixels

activation = partial(tf.nn.leaky_relu, alpha=LEAK)


class ResNet12:
    """The ResNet-12 network.

    Args:
      channels: number of channels of the images.
      widths: number of channels of each block.
    """

    blocks = len(BLOCKS)
    normalizations = len(BLOCKS) * (len(CONVS) + 1)  # numbered by convolution, then by shortcut

    def __init__(self, channels: int, widths: tuple[int, ...]):
        self.features, self._widths = widths[-1], (channels, *widths)
        self.kernels: tuple[tuple[int, ...], ...] = tuple(
            (3, 3, self._widths[block - 1 if conv == 1 else block], self._widths[block])
            for block in BLOCKS
            for conv in CONVS
        )

    def shapes(self, way: int) -> dict[str, tuple[int, ...]]:
        """Shapes of all parameters, by name."""
        theta: dict[str, tuple[int, ...]] = {}
        phi: dict[str, tuple[int, ...]] = {}
        offsets: dict[str, tuple[int, ...]] = {}
        for block in BLOCKS:
            width = self._widths[block]
            for conv in CONVS:
                kernel = self.kernels[number(block, conv) - 1]
                theta |= {f"theta/block{block}_conv{conv}_w": kernel}
                phi |= {f"phi/block{block}_conv{conv}_w": kernel, f"phi/block{block}_conv{conv}_b": (width,)}
                offsets |= {f"block{block}_conv{conv}_bn/beta": (width,)}
            theta |= {f"theta/block{block}_shortcut_w": (1, 1, self._widths[block - 1], width)}
            offsets |= {f"block{block}_shortcut_bn/beta": (width,)}
        theta |= {"theta/dense_w": (self.features, way), "theta/dense_b": (way,)}
        phi |= {"phi/dense_w": (self.features, 1), "phi/dense_b": (1,)}
        return theta | phi | offsets

    def nodes(self, way: int) -> list[Node]:
        """The operations of the network (`nn.nodes`)."""
        found: list[Node] = []
        for block in BLOCKS:
            width, enters = self._widths[block], len(found)
            found.append(nodes.conv(f"block{block}_shortcut", enters, width, size=1, bias=False, noise=False))
            found.append(nodes.norm(f"block{block}_shortcut_bn", len(found), len(self.kernels) + block))
            source = enters
            for conv in CONVS:
                name = f"block{block}_conv{conv}"
                found.append(nodes.conv(name, source, width, bias=False))
                found.append(nodes.norm(f"{name}_bn", len(found), number(block, conv)))
                if conv == CONVS[-1]:
                    found.append(nodes.Node("add", "add", (len(found), enters + 2), {}))
                found.append(nodes.activation("leaky_relu", len(found), LEAK))
                source = len(found)
            found.append(nodes.max_pool(len(found)))
        found.append(nodes.Node("global", "global", (len(found),), dict(function="average")))
        return [*found, nodes.last(len(found), way)]

    def site(self, params: Params, block: int, conv: int, h: tf.Tensor) -> Site:
        """A 3x3 convolution."""
        name = f"block{block}_conv{conv}"
        phi = Weights(params[f"phi/{name}_w"], params[f"phi/{name}_b"])
        place = number(block, conv)
        return Site(place, h, layers.convs, Weights(params[f"theta/{name}_w"], None), phi, first=place == 1)

    def first(self, params: Params, x: tf.Tensor) -> Site:
        """The first convolution, for images x."""
        return self.site(params, 1, 1, x)

    def hidden(self, params: Params, x: tf.Tensor, blocks: Blocks) -> tf.Tensor:
        """The features [..., batch, features] of images x [..., batch, height, width, channels]; see `Blocks`."""
        h = x
        for block in BLOCKS:
            h = blocks.enter(block, h)
            beside, offset = params[f"theta/block{block}_shortcut_w"], params[f"block{block}_shortcut_bn/beta"]
            shortcut = blocks.normalized(len(self.kernels) + block, layers.pointwise(h, beside), offset)
            for conv in CONVS:
                x, last = blocks.perturb(self.site(params, block, conv, h)), conv == CONVS[-1]
                offset = params[f"block{block}_conv{conv}_bn/beta"]
                ends = dict(rest=shortcut if last else None, activation=activation)
                pool = layers.pool if last else None
                h = blocks.leave(Block(number(block, conv), h, x, offset, pool, layers.conv, **ends))
        return tf.reduce_mean(layers.up(h), [-3, -2])

    def last(self, params: Params, f: tf.Tensor) -> Site:
        """The dense layer."""
        theta = Weights(params["theta/dense_w"], params["theta/dense_b"])
        phi = Weights(params["phi/dense_w"], params["phi/dense_b"])
        return Site(len(self.kernels) + 1, f, layers.denses, theta, phi)


def number(block: int, conv: int) -> int:
    """The number of a 3x3 convolution in the network, counted from 1."""
    return len(CONVS) * (block - 1) + conv


def make(spec: DatasetSpec, widths: str) -> ResNet12:
    """Makes the ResNet-12 for the images of a data set.

    Args:
      spec: the data set.
      widths: four integers, separated by commas.
    Raises:
      UsageError: widths is something else, or the images are too small.
    """
    parts = widths.split(",")
    if len(parts) != len(BLOCKS) or not all(part.strip().isdigit() and int(part) for part in parts):
        raise UsageError(
            f"--widths={widths} is not four positive integers separated by commas: give for example 16,32,64,128."
        )
    if min(spec.height, spec.width) < SMALLEST:
        raise UsageError(
            f"--backbone=resnet12 needs images of at least {SMALLEST}x{SMALLEST} pixels, but {spec.name} has "
            f"{spec.height}x{spec.width}: choose conv4 with fewer --blocks."
        )
    return ResNet12(spec.channels, tuple(int(part) for part in parts))
