"""What the noise does to features: channels of the first blocks under repeated noise, as a sheet and animated."""

from __future__ import annotations

import pathlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_metadrop.errors import UsageError
from tf_metadrop.figures import layout, style
from tf_metadrop.methods import noise

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.config.config import Config
    from tf_metadrop.methods.noise import NoiseType
    from tf_metadrop.nn.site import Site
    from tf_metadrop.nn.types import Normal

LAYERS, CHANNELS, SAMPLES, IMAGES = (1, 2), 8, 30, 3
MILLISECONDS = 150  # per frame
SIDE = 112  # screen pixels of a map in the GIF


def sampled_maps(config: Config, given: set[str] | None = None) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Features of images of three test classes with the meta-learned weights, before any inner step, under noise.

    Args:
      config, given: as for `meta_test`.
    Returns:
      (images [IMAGES, height, width, channels] in [0, 1], {layer: [SAMPLES, IMAGES, height, width, CHANNELS]}): the
      inputs of each block's normalisation, for the channels whose relative deviation under noise is largest, in order.
    """
    import tensorflow as tf

    from tf_metadrop.methods import network
    from tf_metadrop.methods.method import load_method
    from tf_metadrop.nn import rng
    from tf_metadrop.runs.loading import load_run, test_split

    config, params, _ = load_run(config, given)
    if not noise.sampled(config.noise_name):
        raise UsageError(
            f"{config.directory} is a run of {config.method}, which has no noise to draw: give another savedir."
        )
    images = test_split(config)
    split = images.flat[images.starts[:IMAGES]]  # the first of each class
    x = tf.cast(split, config.dtype) / (255 if split.dtype == np.uint8 else 1)
    method, kept = load_method(config), dict[int, list[np.ndarray]]()
    draw = rng.StandardNormal(rng.fold(rng.key(config.seed, rng.EXPORT), len(split)), x.dtype)
    for sample in range(SAMPLES):
        recorder: Any = Recorder(method.noise)
        network.hidden(params, x, method._replace(noise=recorder), partial(draw, 0, sample))
        for layer in LAYERS:
            kept.setdefault(layer, []).append(recorder.maps[layer].numpy())
    return x.numpy(), {layer: liveliest(np.stack(maps)) for layer, maps in kept.items()}


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


def draw_sheet(path: pathlib.Path, title: str, images: np.ndarray, maps: np.ndarray) -> pathlib.Path:
    """Draws two rows for each image, means and standard deviations over the noise, with a column for each channel."""
    columns = maps.shape[-1] + 1
    figure = layout.new_figure(2 * layout.COLUMN, 2 * len(images) * 2 * layout.COLUMN / columns + 0.5)
    panels = figure.subplots(2 * len(images), columns, gridspec_kw=dict(wspace=0.02, hspace=0.02))
    mean, deviation = maps.mean(0), maps.std(0)
    looks = dict(cmap="gray", vmin=mean.min(), vmax=mean.max()), dict(cmap="magma", vmin=0, vmax=deviation.max())
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for image, (upper, lower) in enumerate(zip(panels[::2], panels[1::2], strict=True)):
        upper[0].imshow(np.squeeze(images[image]), cmap="gray")
        upper[1].set_ylabel("Mean", fontsize=layout.SMALL)
        lower[1].set_ylabel("St. dev.", fontsize=layout.SMALL)
        for channel in range(maps.shape[-1]):
            above = upper[channel + 1].imshow(mean[image, ..., channel], **looks[0])
            below = lower[channel + 1].imshow(deviation[image, ..., channel], **looks[1])
    panels[0][0].set_title("Image", fontsize=layout.SMALL)
    panels[0][1 + maps.shape[-1] // 2].set_title("Channels", fontsize=layout.SMALL)
    for shown, half, name in (
        (above, panels[: len(panels) // 2], "Mean"),
        (below, panels[len(panels) // 2 :], "St. dev."),
    ):
        bar = figure.colorbar(shown, ax=list(half.flat), fraction=0.03, pad=0.01)
        bar.set_label(f"{name} over the noise", fontsize=layout.SMALL)
        bar.ax.tick_params(labelsize=layout.SMALL)
    figure.suptitle(title, fontsize=layout.TITLE, fontweight="bold")
    return layout.save(figure, path, shades=True)


def draw_gif(path: pathlib.Path, images: np.ndarray, maps: np.ndarray) -> pathlib.Path:
    """Animates the maps: a row for each image with the image and its channels, a frame for each noise sample."""
    from PIL import Image

    low, high = maps.min((0, 2, 3), keepdims=True), maps.max((0, 2, 3), keepdims=True)
    grey = (255 * (maps - low) / np.maximum(high - low, 1e-12)).astype(np.uint8)
    still = (255 * images.mean(-1)).astype(np.uint8)
    frames = []
    for sample in grey:
        rows = [[image, *np.moveaxis(maps, -1, 0)] for image, maps in zip(still, sample, strict=True)]
        frames.append(Image.fromarray(np.vstack([np.hstack([enlarged(grey) for grey in row]) for row in rows])))
    path.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0)
    return path


def enlarged(grey: np.ndarray) -> np.ndarray:
    """A map [height, width], uint8, as SIDE x SIDE screen pixels with a white frame."""
    from PIL import Image

    large = np.array(Image.fromarray(grey).resize((SIDE - 4, SIDE - 4), Image.Resampling.NEAREST))
    return np.pad(large, 2, constant_values=255)


def title(config: Config, layer: int, maps: np.ndarray) -> str:
    """The title of a layer's figure."""
    return f"{style.name(config.method)}: features of layer {layer} before normalisation, {len(maps)} noise samples"


def draw(config: Config, given: set[str] | None = None) -> list[pathlib.Path]:
    """`plot/noise/layer{1,2}.{png,gif}` in the savedir; returns the files written."""
    images, maps = sampled_maps(config, given)
    folder, written = config.directory / "plot" / "noise", []
    for layer, of_layer in maps.items():
        written.append(draw_sheet(folder / f"layer{layer}.png", title(config, layer, of_layer), images, of_layer))
        written.append(draw_gif(folder / f"layer{layer}.gif", images, of_layer))
    return written
