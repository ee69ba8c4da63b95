"""What the noise does to features: channels of the first blocks under repeated noise, as a sheet and animated."""

from __future__ import annotations

import pathlib

import numpy as np

from tf_metadrop.figures import layout

MILLISECONDS = 150  # per frame
SIDE = 112  # screen pixels of a map in the GIF


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
