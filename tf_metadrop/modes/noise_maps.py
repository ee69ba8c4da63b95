"""What the noise does to features: runs the network under repeated noise, and draws `metadrop plot --figure=noise`."""

from __future__ import annotations

import pathlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError
from tf_metadrop.figures import noise_maps, style
from tf_metadrop.methods import network, noise
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import rng
from tf_metadrop.nn.traced import traced
from tf_metadrop.runs.loading import load_run, test_split

if TYPE_CHECKING:
    from tf_metadrop.methods.noise import NoiseType
    from tf_metadrop.nn.site import Site
    from tf_metadrop.nn.types import Normal

LAYERS, CHANNELS, SAMPLES, IMAGES = 2, 8, 30, 3


def sampled_maps(config: Config, given: set[str] | None = None) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Features of images of three test classes with the meta-learned weights, before any inner step, under noise.

    Args:
      config, given: as for `meta_test`.
    Returns:
      (images [IMAGES, height, width, channels] in [0, 1], {layer: [SAMPLES, IMAGES, height, width, CHANNELS]}): the
      inputs of the first LAYERS normalisations of maps, for the channels with the largest relative deviation under
      noise, in order.
    """
    config, params, _ = load_run(config, given)
    if not noise.sampled(config.noise_name):
        raise UsageError(
            f"{config.directory} is a run of {config.method}, which has no noise to draw: give another savedir."
        )
    images = test_split(config)
    split = images.flat[images.starts[:IMAGES]]  # the first of each class
    x = tf.cast(split, config.dtype) / (255 if split.dtype == np.uint8 else 1)
    method = load_method(config)
    draw = rng.StandardNormal(rng.fold(rng.key(config.seed, rng.EXPORT), len(split)), x.dtype)

    @traced
    def sampled(sample: tf.Tensor) -> dict[int, tf.Tensor]:
        recorder: Any = Recorder(method.noise)
        network.hidden(params, x, method._replace(noise=recorder), partial(draw, 0, sample))
        return {number: maps for number, maps in sorted(recorder.maps.items()) if maps.shape.rank == 4}

    every = [sampled(tf.constant(sample)) for sample in range(SAMPLES)]
    if not every[0]:
        raise UsageError(f"{config.directory} has a network without a layer of maps, so there is nothing to draw.")
    first = list(every[0])[:LAYERS]
    return x.numpy(), {layer: liveliest(np.stack([maps[layer].numpy() for maps in every])) for layer in first}


class Recorder:
    """Wraps a noise type and keeps the features of each layer in `maps`."""

    def __init__(self, noise: NoiseType):
        self.noise, self.logits = noise, noise.logits
        self.maps: dict[int, tf.Tensor] = {}

    def features(self, site: Site, normal: Normal | None) -> tf.Tensor:
        """The wrapped noise type's features, which are kept."""
        self.maps[site.number] = self.noise.features(site, normal)
        return self.maps[site.number]


def liveliest(maps: np.ndarray) -> np.ndarray:
    """The CHANNELS of maps [samples, images, height, width, channels] with the largest relative deviation."""
    deviation = maps.std(0).mean((0, 1, 2)) / np.maximum(np.ptp(maps, axis=(0, 1, 2, 3)), 1e-12)
    return maps[..., np.argsort(-deviation, kind="stable")[:CHANNELS]]


def title(config: Config, layer: int, maps: np.ndarray) -> str:
    """The title of a layer's figure."""
    return f"{style.name(config.method)}: features of layer {layer} before normalisation, {len(maps)} noise samples"


def draw(config: Config, given: set[str] | None = None) -> list[pathlib.Path]:
    """`plot/noise/layer{1,2}.{png,gif}` in the savedir; returns the files written."""
    images, maps = sampled_maps(config, given)
    folder, written = config.directory / "plot" / "noise", []
    for layer, of_layer in maps.items():
        written.append(
            noise_maps.draw_sheet(folder / f"layer{layer}.png", title(config, layer, of_layer), images, of_layer)
        )
        written.append(noise_maps.draw_gif(folder / f"layer{layer}.gif", images, of_layer))
    return written
