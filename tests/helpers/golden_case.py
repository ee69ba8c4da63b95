"""Known weights, episodes and noise, re-made from their seeds, and what the TF 1.12 program computed of them."""

import dataclasses
import functools
import json
import pathlib

import numpy as np
import tensorflow as tf

from tests.helpers.cut_golden import entries
from tf_metadrop import Config
from tf_metadrop.algorithm.tasks import Task
from tf_metadrop.data import DATASETS
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.npz"))
BIAS_SD, OTHER_SD = 0.001, 0.02


class GoldenCase:
    """One case: `config`, `method`, `params`, `task(...)`, `noise(...)`, and `golden`, a dict of arrays."""

    def __init__(self, name, dtype=tf.float64):
        with np.load(GOLDEN / f"{name}.npz") as file:
            self.golden = {key: file[key] for key in file.files}
        self.raw = json.loads(str(self.golden["config"]))
        self.dtype = dtype
        fields = {field.name for field in dataclasses.fields(Config)}
        self.config = Config(**{key: value for key, value in self.raw.items() if key in fields})
        self.spec = DATASETS[self.config.dataset]
        self.method = load_method(self.config)
        self.params = self._weights()

    def _weights(self):
        random = np.random.RandomState(self.raw["weight_seed"])
        params = {}
        for key, shape in network.shapes(self.method, self.config.way).items():
            value = (random.standard_normal(shape) * (BIAS_SD if key.endswith("_b") else OTHER_SD)).astype(np.float32)
            params[key] = tf.constant(value, self.dtype)
        return params

    def tasks(self, iteration=0):
        """The metabatch of this iteration as a Task whose tensors have a leading axis [metabatch]."""
        c, random = self.config, np.random.RandomState(self.raw["episode_seed"] + iteration)
        shape = (self.spec.height, self.spec.width, self.spec.channels)

        def images(per_class):
            flat = random.random_sample([c.metabatch, c.way * per_class, np.prod(shape)]).astype(np.float32)
            return tf.constant(flat.reshape(c.metabatch, -1, *shape), self.dtype)

        def labels(per_class):
            one_task = tf.one_hot(np.repeat(range(c.way), per_class), c.way, dtype=self.dtype)
            return tf.stack([one_task] * c.metabatch)

        support, query = images(c.shot), images(c.query)
        return Task(support, labels(c.shot), query, labels(c.query))

    def task(self, index, iteration=0):
        return Task(*[part[index] for part in self.tasks(iteration)])

    @functools.cached_property
    def noise(self):
        """The injected noise: a function (step, sample, layer, shape), the same for every task and iteration."""
        c = self.config

        def draw(step, sample, layer, shape):
            if isinstance(sample, int):
                return tf.constant(self._array(step, sample, layer, shape), self.dtype)
            every = np.stack([self._array(step, j, layer, shape) for j in range(c.n_test_mc_samp)])
            return tf.gather(tf.constant(every, self.dtype), sample)

        return draw

    def _array(self, step, sample, layer, shape):
        random = np.random.RandomState(self.raw["noise_seed"] + 10000 * step + 100 * sample + layer)
        return random.standard_normal(shape).astype(np.float32)


def kept(value):
    """The entries of an array (whole, or already cut) that cut_golden.py keeps of it, in float64."""
    flat = np.asarray(value, np.float64).ravel()
    return flat[entries(flat.size)]
