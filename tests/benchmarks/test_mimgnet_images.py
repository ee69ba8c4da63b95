"""The images that stand for miniImageNet in measurements."""

import numpy as np

from benchmarks import mimgnet_images
from tf_metadrop.data import load_split


def test_generated_images_of_mimgnet(tmp_path):
    command = [str(tmp_path), "--instances=3"]
    assert mimgnet_images.main(command) == 0
    images = load_split("mimgnet", str(tmp_path), "train")
    assert images.shape == (64, 3, 84, 84, 3)
    np.testing.assert_array_equal(images[5], mimgnet_images.texture("train", 5, 3))
    assert not np.array_equal(images[5], mimgnet_images.texture("test", 5, 3))
    assert mimgnet_images.main(command) == 2  # nothing is overwritten
