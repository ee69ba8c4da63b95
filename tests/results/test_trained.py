"""The weights under checkpoints/trained: few, and those of models that have learned to learn."""

import numpy as np
import pytest

from tests.helpers.runs import ROOT
from tf_metadrop import MetaLearner
from tf_metadrop.data import load_split

TRAINED = ROOT / "checkpoints" / "trained"
FOLDERS = sorted(path.parent for path in TRAINED.glob("*/*/checkpoint"))


def test_they_are_few():
    assert FOLDERS and sum(path.stat().st_size for path in TRAINED.rglob("*") if path.is_file()) < 10e6


def accuracy(learner):
    """In 10 one-shot tasks of generated characters, whose classes it was not trained on."""
    images, random = load_split("strokes", "", "test", False), np.random.RandomState(0)
    right = []
    for _ in range(10):
        classes = random.choice(len(images), learner.config.way, replace=False)
        support, query = images[classes, 0], images[classes, 1:6].reshape(-1, 28, 28, 1)
        learner.adapt(support, np.arange(learner.config.way))
        right.append(learner.predict(query) == np.repeat(np.arange(learner.config.way), 5))
    return np.mean(right)


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_they_have_learned_to_learn(folder):
    """They make at most 0.6 of the mistakes that weights make which were not trained."""
    learner = MetaLearner.load(folder)
    trained = accuracy(learner)
    learner.params = MetaLearner(learner.config).params  # in the place of another learner, which compiles anew
    assert 1 - trained < 0.6 * (1 - accuracy(learner))
