"""A program: one meta-test step again and again, several noise samples under way; prints how many results differ."""

import sys

import numpy as np
import tensorflow as tf

from tf_metadrop import Config
from tf_metadrop.algorithm import execution, steps
from tf_metadrop.algorithm.episodes import Images
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import rng


def main(times: int) -> None:
    config = Config(dataset="strokes", way=5, query=5, metabatch=4, n_test_mc_samp=10, mode="meta_test")
    execution.prepare(config)
    pixels = np.random.RandomState(0).randint(0, 256, [9, 9, 28, 28, 1]).astype(np.uint8)
    images, method = Images(pixels, config), load_method(config)
    params = network.initial(method, config.way, rng.key(0, rng.INITIAL_WEIGHTS))
    step, episodes = steps.make_test_step(config, method), images.episodes(np.random.RandomState(0))
    key = rng.key(0, rng.META_TEST)
    results = [step(params, *images.batch(*episodes), key, tf.constant(0))["cent"].numpy() for _ in range(times)]
    print("different:", sum(not np.array_equal(result, results[0]) for result in results))


if __name__ == "__main__":
    main(int(sys.argv[1]))
