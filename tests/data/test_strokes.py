"""The generated data set: fixed, disjoint, and too hard for pixel distances."""

import hashlib

import numpy as np
import pytest

from tf_metadrop.data import DATASETS, strokes
from tf_metadrop.data.episodes import draw
from tf_metadrop.errors import UsageError


@pytest.fixture(scope="module")
def splits():
    return {split: strokes.generate(split) for split in ("train", "val", "test")}


def test_shapes_and_counts(splits):
    for split, images in splits.items():
        assert images.shape == (DATASETS["strokes"].classes[split], 20, 28, 28, 1)
        assert images.dtype == np.uint8 and images.flags.c_contiguous


def test_is_the_same_everywhere_and_untouched_by_the_global_seed(splits):
    np.random.seed(5)
    strokes.generate("val")[:] = 0  # what a caller does with its images is its own affair
    assert np.array_equal(strokes.generate("val"), splits["val"])
    assert np.array_equal(strokes.drawn.__wrapped__("val"), splits["val"])
    for split, digest in (
        ("train", "e49ae5d2f2c586dcafda6585b6476dab"),
        ("val", "b8ca65efca2fddca23610007792a95f6"),
        ("test", "c0f761f738fe64b7c76197bf4dd4b347"),
    ):
        assert hashlib.md5(splits[split].tobytes()).hexdigest() == digest


def test_no_image_is_blank_or_repeated(splits):
    images = np.concatenate([images.reshape(-1, 784) for images in splits.values()])
    assert len(np.unique(images, axis=0)) == len(images)
    ink = (images > 127).sum(1)
    assert ink.min() >= 5 and ink.max() < 392


def test_nearest_neighbour_in_pixel_space_fails(splits):
    """5-way 1-shot, 200 episodes: pixels get about half of it right, as on Omniglot itself (45 %); chance is 20 %."""
    images = splits["test"].reshape(-1, 784).astype(np.float32) / 255
    support, query = draw(np.random.RandomState(0), 140, 20, 5, 1, 15, 200, "independent")
    labels = np.repeat(np.arange(5), 15)
    nearest = [
        (np.square(images[q][:, None] - images[s]).sum(-1)).argmin(1) for s, q in zip(support, query, strict=True)
    ]
    assert 0.3 < np.mean(np.array(nearest) == labels) < 0.75


def test_unknown_split_is_refused():
    with pytest.raises(UsageError, match="split dev is not known"):
        strokes.generate("dev")
