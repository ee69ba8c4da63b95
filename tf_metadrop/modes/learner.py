"""A trained model for a user's own few images."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tf_metadrop.algorithm.execution import prepare
from tf_metadrop.algorithm.inner_loop import adapt
from tf_metadrop.config.config import Config
from tf_metadrop.data import DATASETS
from tf_metadrop.errors import UsageError
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import rng
from tf_metadrop.nn.params import cast, narrow
from tf_metadrop.runs import checkpoint

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from tf_metadrop.nn.types import Params


class MetaLearner:
    """Adapts to a few labelled images, then classifies others.

      learner = MetaLearner.load("checkpoints/strokes_5way1shot_metadrop")
      learner.adapt(support_x, support_y)
      learner.predict(query_x)

    The network normalises by the statistics of the batch it is given, as in the paper: what is predicted for an image
    depends on the images beside it. Predict a whole query set at once.

    Attributes:
      config: Config; adaptation reads inner_lr, n_steps, n_test_mc_samp and seed. It may be replaced.
      params: dict of meta-learned parameters (see nn/backbones). `adapt` does not change them.
      classes: the different labels of the last adaptation, sorted if they can be; None before.
    """

    def __init__(self, config: Config, params: Params | None = None):
        """With `params` None the weights are the initial ones of the config's seed."""
        prepare(config)
        self.config, self._spec = config, DATASETS[config.dataset]
        if params is None:
            key = rng.key(config.seed, rng.INITIAL_WEIGHTS)
            params = network.initial(self._method, config.way, key)
        self.params = cast(params, config.dtype)
        self.classes: np.ndarray | None = None
        self._adapted: Params | None = None

    @property
    def config(self) -> Config:
        """See the class."""
        return self._config

    @config.setter
    def config(self, config: Config) -> None:
        self._config, self._method = config, load_method(config)
        self.__dict__.pop("_inner_loop", None)  # which was compiled for the one before

    @classmethod
    def load(cls, savedir: str, **settings: Any) -> MetaLearner:
        """The model of a savedir, ours or the TF1 program's; `settings` (inner_lr=..., n_steps=...) replace the run's.

        Raises:
          UsageError: there is no model in savedir.
        """
        params, run = checkpoint.load_params(pathlib.Path(savedir), settings.get("weights", "last"))
        base = Config(savedir=savedir).inherit(run, set())
        kept = {name: run[name] for name in ("seed", "n_test_mc_samp", "precision") if name in run}
        config = dataclasses.replace(base, **(kept | settings))
        return cls(config, network.fitting(params, load_method(config), config.way, str(savedir)))

    def adapt(self, support_x: ArrayLike, support_y: Any) -> MetaLearner:
        """Runs the inner loop on labelled images, from the meta-learned weights; returns self.

        Args:
          support_x: [n, height, width, channels] (or [n, height, width] of one channel): uint8 of 0..255, or floats in
            [0, 1]. For omniglot and strokes ink is 1.
          support_y: n labels, at most `way` different ones: numbers, texts or whatever else a dict has as keys.
        Raises:
          UsageError: images or labels do not fit the model.
        """
        x = self._images(support_x, "support_x")
        classes, indices = numbered(support_y)
        if indices.shape != (len(x),):
            raise UsageError(f"support_y has shape {indices.shape}: give one label for each of the {len(x)} images.")
        if not 2 <= len(classes) <= self.config.way:
            raise UsageError(f"support_y has {len(classes)} classes: give 2 to {self.config.way}, the model's way.")
        params = narrow(self.params, len(classes))
        labels = tf.one_hot(indices, len(classes), dtype=self.config.dtype)
        self._adapted = self._inner_loop(params, x, labels, rng.key(self.config.seed, rng.ADAPT))
        self.classes = classes
        return self

    @functools.cached_property
    def _inner_loop(self) -> Callable[[Params, tf.Tensor, tf.Tensor, tf.Tensor], Params]:
        """(params, x, labels, key) -> adapted params, compiled once for each shape."""

        @tf.function(autograph=False)
        def inner_loop(params: Params, x: tf.Tensor, labels: tf.Tensor, key: tf.Tensor) -> Params:
            draw = rng.StandardNormal(key, x.dtype)
            return adapt(params, x, labels, self.config, self._method, draw, self.config.n_test_mc_samp).params

        return inner_loop

    def predict_proba(self, x: ArrayLike) -> np.ndarray:
        """Probabilities [n, classes] of images (see `adapt`), without noise; columns are in the order of `classes`."""
        if self._adapted is None:
            raise UsageError("the learner has not been adapted: call adapt(support_x, support_y) first.")
        logits = network.forward(self._adapted, self._images(x, "x"), self._method)
        return tf.nn.softmax(logits).numpy()

    def predict(self, x: ArrayLike) -> np.ndarray:
        """The labels [n] of images, among those given to `adapt`."""
        best = np.argmax(self.predict_proba(x), axis=-1)
        assert self.classes is not None  # since `adapt`
        return self.classes[best]

    def _images(self, x: ArrayLike, name: str) -> tf.Tensor:
        x, shape = np.asarray(x), self._spec.image_shape
        if x.ndim == 3 and shape[2] == 1:
            x = x[..., np.newaxis]
        if x.ndim != 4 or x.shape[1:] != shape or not len(x):
            raise UsageError(f"{name} has shape {x.shape}: give [n, {', '.join(map(str, shape))}].")
        if x.dtype == np.uint8:
            x = x / np.float32(255 if x.max() > 1 else 1)  # 0/1 ink, as for files: see data.load_split
        try:
            x = x.astype(np.float32)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{name} holds other things than numbers ({error}): give images.") from error
        if not np.isfinite(x).all():
            raise UsageError(f"{name} has values that are no numbers (NaN or infinity): mend the images.")
        if not (x.min() >= 0 and x.max() <= 1):
            raise UsageError(f"{name} has values outside [0, 1]: divide by 255 if they are of 0..255, or give uint8.")
        return tf.constant(x, self.config.dtype)


def numbered(labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """(the different labels, sorted if they can be; the place of each label among them).

    Raises:
      UsageError: they are no labels.
    """
    if hasattr(labels, "__array__") and (array := np.asarray(labels)).dtype != object:
        return np.unique(array, return_inverse=True)
    try:
        labels = list(labels)
        classes = list(dict.fromkeys(labels))
    except TypeError as error:
        raise UsageError(f"support_y holds no labels ({error}): give a list of numbers or texts.") from error
    with contextlib.suppress(TypeError):  # of several kinds: as they come
        classes.sort()
    place = {label: index for index, label in enumerate(classes)}
    simple = len({type(label) for label in classes}) == 1 and isinstance(classes[0], (bool, int, float, str))
    kept = np.array(classes) if simple else np.empty(len(classes), object)
    kept[:] = classes
    return kept, np.array([place[label] for label in labels], int)
