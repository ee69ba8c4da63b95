"""Episodes as the steps take them."""

import numpy as np
import pytest

from tf_metadrop import Config
from tf_metadrop.algorithm.episodes import Images


@pytest.mark.parametrize("episodes", ["independent", "shared_classes"])
def test_episodes_are_drawn_as_asked(episodes):
    images = Images(np.zeros([30, 20, 28, 28, 1], np.uint8), Config(way=5, metabatch=8, episodes=episodes))
    support, query = images.episodes(np.random.RandomState(0))
    classes = {tuple(task // 20) for task in support}
    assert support.shape == (8, 5) and query.shape == (8, 25)
    assert len(classes) == (1 if episodes == "shared_classes" else 8)


def test_episodes_drawn_ahead_are_the_same_and_so_is_the_generator():
    pixels = np.random.RandomState(0).randint(0, 256, [9, 9, 28, 28, 1]).astype(np.uint8)
    pictures = Images(pixels, Config(dataset="strokes", way=3, shot=1, query=2, metabatch=2))
    generator = np.random.RandomState(3)
    ahead = pictures.stream(np.random.RandomState(3))
    for _ in range(3):
        drawn, state = next(ahead)
        for ours, theirs in zip(drawn, pictures.episodes(generator), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(state[1], generator.get_state()[1])
        assert state[2:] == generator.get_state()[2:]
    ahead.close()
