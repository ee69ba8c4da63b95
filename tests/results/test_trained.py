"""The weights under checkpoints/trained: few, and those of models that have learned to learn."""

import numpy as np
import pytest

from tests.helpers.often import often
from tests.helpers.runs import ROOT
from tf_metadrop import MetaLearner
from tf_metadrop.data import load_split

TRAINED = ROOT / "checkpoints" / "trained"
NAMES = sorted(path.parent.relative_to(TRAINED).as_posix() for path in TRAINED.glob("*/*/checkpoint"))
OFTEN = "omniglot_20way1shot/metadrop_exact_seed0", "release/omniglot_20way1shot_maml"


def test_they_are_few():
    assert NAMES and sum(path.stat().st_size for path in TRAINED.rglob("*") if path.is_file()) < 10e6


def sized(images, shape):
    """Images of 28x28 pixels in this shape: those of miniImageNet are three times as large, in colour."""
    height, _, channels = shape
    large = np.kron(images.reshape(-1, 28, 28), np.ones([height // 28] * 2, images.dtype))
    return np.repeat(large[..., None], channels, -1)


def accuracy(learner):
    """In 10 one-shot tasks of generated characters, whose classes it was not trained on."""
    images, random = load_split("strokes", "", "test", False), np.random.RandomState(0)
    right = []
    for _ in range(10):
        classes = random.choice(len(images), learner.config.way, replace=False)
        support, query = [sized(x, learner.config.spec.image_shape) for x in (images[classes, 0], images[classes, 1:6])]
        learner.adapt(support, np.arange(learner.config.way))
        right.append(learner.predict(query) == np.repeat(np.arange(learner.config.way), 5))
    return np.mean(right)


@pytest.mark.slow
@pytest.mark.parametrize("name", often(NAMES, OFTEN))
def test_they_have_learned_to_learn(name):
    """They make at most 0.6 of the mistakes that weights make which were not trained."""
    learner = MetaLearner.load(TRAINED / name)
    trained = accuracy(learner)
    learner.params = MetaLearner(learner.config).params  # in the place of another learner, which compiles anew
    assert 1 - trained < 0.6 * (1 - accuracy(learner))
