"""`MetaLearner`: adapts a trained model to a few images of a user, and classifies others."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tf_metadrop.algorithm.execution import prepare, set_precision
from tf_metadrop.algorithm.inner_loop import adapt
from tf_metadrop.config import identity
from tf_metadrop.config.config import Config
from tf_metadrop.config.setting import Role
from tf_metadrop.data import description, user_images
from tf_metadrop.errors import UsageError
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import backbones, rng
from tf_metadrop.nn.params import cast, narrow
from tf_metadrop.nn.traced import traced
from tf_metadrop.runs import adapted_model, checkpoint
from tf_metadrop.runs.adapted_model import AdaptedModel
from tf_metadrop.runs.loading import check_rate
from tf_metadrop.util import paths

if TYPE_CHECKING:
    from tf_metadrop.data.user_images import Invert
    from tf_metadrop.nn.statistics import Statistics
    from tf_metadrop.nn.types import Params

TOGETHER = 32  # images per call of the network when they do not form a batch; the last call is padded
COMPILED = "_inner_loop", "_support_statistics", "_logits", "_transductive_logits"  # they depend on the config


class MetaLearner:
    """Adapts to a few labelled images, then classifies others.

      learner = MetaLearner.load("checkpoints/strokes_5way1shot_metadrop")
      learner.adapt(support_x, support_y)
      learner.predict(query_x)
      learner.save("classifier")  # for MetaLearner.load; copy.deepcopy and pickle work too

    The network normalises features by the statistics of a batch. `predict` uses the statistics of the support images,
    so that the answer for an image does not depend on other images. The paper's evaluation (meta_test) uses the
    statistics of the query images: `predict(x, transductive=True)`.

    Attributes:
      config: Config; adaptation reads inner_lr, n_steps, n_test_mc_samp and seed. It may be replaced.
      params: dict of meta-learned parameters (see nn/backbones). `adapt` does not change them.
      classes: the distinct labels of the last adaptation, sorted if they can be sorted; None before an adaptation.
    """

    def __init__(self, config: Config, params: Params | None = None):
        """Makes a learner; if `params` is None, the weights are the initial ones of the config's seed."""
        prepare(config)
        self.config, self._spec = config, config.spec
        if params is None:
            key = rng.key(config.seed, rng.INITIAL_WEIGHTS)
            params = network.initial(self._method, config.way, key)
        self.params = cast(params, config.dtype)
        self.iteration: int | None = None  # of the training, that the weights are of; None: not known
        self.classes: np.ndarray | None = None
        self._adapted: Params | None = None
        self._statistics: Statistics = ()  # of the support images under the adapted weights
        self._support: np.ndarray | None = None  # the images of the last adaptation, in this process

    @property
    def config(self) -> Config:
        """The settings; see `MetaLearner`."""
        return self._config

    @config.setter
    def config(self, config: Config) -> None:
        before: Config | None = self.__dict__.get("_config")
        fixed = [*identity.of_weights(), "precision"] if before else []
        if different := [name for name in fixed if getattr(config, name) != getattr(before, name)]:
            raise UsageError(
                f"learner.config cannot have another {different[0]}, for which the weights are not made: make another "
                "learner, MetaLearner(config, params)."
            )
        if before:
            check_rate({"inner_lr": before.inner_lr}, config)
        self._config: Config = config
        self._method = load_method(config)
        for name in COMPILED:  # these were compiled for the previous config
            self.__dict__.pop(name, None)

    @classmethod
    def load(cls, savedir: str | pathlib.Path, **settings: Any) -> MetaLearner:
        """Loads the model of a savedir, of this or of the TF1 program, or of a folder that `save` wrote.

        Args:
          savedir: the folder.
          settings: inner_lr=..., n_steps=... and so on; they replace those of the run.
        Raises:
          UsageError: there is no model in savedir.
        """
        directory = paths.path(savedir)
        if settings.get("eval_normalization"):
            raise UsageError(
                f"eval_normalization={settings['eval_normalization']} is for meta_test: leave it out. `predict` takes "
                "the statistics of the support images, or with transductive=True those of its batch."
            )
        if adapted_model.is_one(directory):
            found = adapted_model.read(directory)
            known = {field.name for field in dataclasses.fields(Config)}
            if unknown := sorted(found.config.keys() - known):
                raise UsageError(
                    f"{directory} has the setting {unknown[0]}, which this version does not know: install the version "
                    "that wrote it."
                )
            config = Config(**found.config, savedir=str(directory))  # this folder describes its data set
            config = dataclasses.replace(config, **settings)
            check_rate(found.config, config)
            learner = cls(config, found.params)
            learner._restore(found)
            return learner
        params, run = checkpoint.load_params(directory, settings.get("weights", "last"))
        base = Config(savedir=str(directory)).inherit(run, set())
        kept = {name: run[name] for name in ("seed", "n_test_mc_samp", "precision", "n_train_iters") if name in run}
        config = dataclasses.replace(base, **(kept | settings))
        check_rate(run, config)
        learner = cls(config, network.fitting(params, load_method(config), config.way, str(savedir)))
        learner.iteration = run.get("iteration")
        return learner

    def save(
        self,
        path: str | pathlib.Path,
        overwrite: bool = False,
        formats: Sequence[str] = (),
        quantize: str | None = None,
        support_x: Any = None,
    ) -> list[str]:
        """Writes a folder that `load` reads: the model and its adaptation. It has no pickles, so it is safe to share.

        Args:
          path: the folder.
          overwrite: replace an existing classifier; other files are never replaced.
          formats: any of savedmodel, tflite and keras; the folder then also holds the adapted network in these formats
            for other programs (docs/guides/export.md).
          quantize: "int8" quantises the TFLite file.
          support_x: images as for `adapt`, for which the files are compared with `predict`, and by which they are
            quantised; default: those of the last adaptation.
        Returns:
          Lines that say which files were written, and how close their outputs are to `predict`.
        Raises:
          UsageError: the folder exists or cannot be written, or a format cannot hold this model.
        """
        said: list[str] = []
        export = None
        if formats or quantize:
            from tf_metadrop.modes import formats as exported

            chosen = tuple(formats)
            exported.check(chosen, quantize)
            adapted = self._to_export(support_x)
            export = lambda stage: said.extend(exported.write(stage, adapted, chosen, quantize))
        adapted_model.write(paths.path(path), self._kept(), self._spec, overwrite, export)
        return said

    def _to_export(self, support_x: Any) -> Any:
        """The classifier that `formats` writes, in float32 as in the files."""
        from tf_metadrop.modes.formats import Adapted

        given = self._support if support_x is None else user_images.batch(support_x, self._spec, "support_x", False)
        if self._adapted is None or self.classes is None or given is None:
            raise UsageError("there is nothing to export: call adapt(support_x, support_y) first, or give support_x.")
        plain = self
        if self.config.precision != "float32":
            plain = MetaLearner(dataclasses.replace(self.config, precision="float32"), self.params)
            plain._restore(self._kept())
        try:
            probabilities = plain.predict_proba(given)
        finally:
            set_precision(self.config)  # making `plain` changed that of the process
        names = [str(name) for name in self.classes]
        params = plain._adapted or {}
        return Adapted(plain.config, plain._method, params, plain._statistics, names, given, probabilities)

    def _kept(self) -> AdaptedModel:
        here = identity.names(Role.LOCAL)  # as paths, which mean nothing on another machine
        config = {name: value for name, value in dataclasses.asdict(self.config).items() if name not in here}
        config |= dict(normalization=self.config.normalization_name, eval_normalization=None)  # `mode` is not kept
        return AdaptedModel(config, self.params, self._adapted, self._statistics, self.classes)

    def _restore(self, kept: AdaptedModel) -> None:
        to_own = lambda tensors: tf.nest.map_structure(lambda t: tf.cast(t, self.config.dtype), tensors)
        self._adapted, self._statistics = to_own(kept.adapted or {}) or None, to_own(kept.statistics)
        self.classes = kept.classes

    def __getstate__(self) -> tuple[Config, Any, Any]:
        arrays = lambda tensors: tf.nest.map_structure(lambda t: t.numpy(), tensors)
        kept = self._kept()
        kept = kept._replace(
            params=arrays(kept.params), adapted=arrays(kept.adapted or {}), statistics=arrays(kept.statistics)
        )
        return self.config, kept, backbones.described(self.config.backbone)

    def __setstate__(self, state: tuple[Config, Any, Any]) -> None:
        config, kept, network_of = state
        description.remember(config.spec)
        if network_of:
            backbones.remember(config.backbone, network_of, "the pickle")
        self.__init__(config, kept.params)  # type: ignore[misc]
        self._restore(kept)

    def adapt(self, support_x: Any, support_y: Any, invert: Invert = False) -> MetaLearner:
        """Runs the inner loop on labelled images, from the meta-learned weights; returns self.

        If a class has fewer images than the largest class, its images are repeated in turn, each time with other noise.
        Loss and statistics then weigh all classes equally.

        Args:
          support_x: images: an array [n, height, width, channels], or a list of arrays, PIL images or paths; uint8 in
            0..255, or floats in [0, 1]. For omniglot and strokes ink is 1. See `data.user_images.batch`.
          support_y: n labels, at most `way` distinct ones: numbers, texts or any other hashable values.
          invert: True inverts the images, for ink 0 on paper 1; "auto" inverts each image that looks like that.
        Raises:
          UsageError: images or labels do not fit the model, or the adaptation diverged.
        """
        x = user_images.batch(support_x, self._spec, "support_x", invert)
        classes, indices = user_images.numbered(support_y)
        if indices.shape != (len(x),):
            raise UsageError(f"support_y has shape {indices.shape}: give one label for each of the {len(x)} images.")
        if not 2 <= len(classes) <= self.config.way:
            raise UsageError(f"support_y has {len(classes)} classes: give 2 to {self.config.way}, the model's way.")
        places = user_images.balanced(indices)
        support = tf.constant(x[places], self.config.dtype)
        labels = tf.one_hot(indices[places], len(classes), dtype=self.config.dtype)
        key = rng.key(self.config.seed, rng.ADAPT)
        adapted = self._inner_loop(narrow(self.params, len(classes)), support, labels, key)
        statistics = self._support_statistics(adapted, support)
        if not all(np.isfinite(tensor.numpy()).all() for tensor in tf.nest.flatten([adapted, statistics])):
            raise UsageError(
                f"the adaptation diverged to non-finite values (NaN or Inf) at inner_lr={self.config.inner_lr:g}: give "
                "a lower one."
            )
        self._adapted, self._statistics, self.classes, self._support = adapted, statistics, classes, x
        return self

    @functools.cached_property
    def _inner_loop(self) -> Callable[[Params, tf.Tensor, tf.Tensor, tf.Tensor], Params]:
        """The compiled inner loop: (params, x, labels, key) -> adapted params."""

        def inner_loop(params: Params, x: tf.Tensor, labels: tf.Tensor, key: tf.Tensor) -> Params:
            draw = rng.StandardNormal(key, x.dtype)
            return adapt(params, x, labels, self.config, self._method, draw, self.config.n_test_mc_samp).params

        return traced(inner_loop)

    @functools.cached_property
    def _support_statistics(self) -> Callable[[Params, tf.Tensor], Statistics]:
        """The compiled function (adapted params, support images) -> statistics of their features, without noise."""

        return traced(lambda params, x: network.support_statistics(params, x, self._method))

    @functools.cached_property
    def _logits(self) -> Callable[[Params, tf.Tensor, Statistics], tf.Tensor]:
        """The compiled function (adapted params, images, statistics) -> logits, of each image independently."""
        by = lambda statistics: self._method._replace(statistics=statistics)
        return traced(lambda params, x, statistics: network.forward(params, x, by(statistics)))

    @functools.cached_property
    def _transductive_logits(self) -> Callable[[Params, tf.Tensor], tf.Tensor]:
        """The compiled function (adapted params, images) -> logits, the images normalised as one batch."""
        return traced(lambda params, x: network.forward(params, x, self._method))

    def predict_proba(self, x: Any, transductive: bool = False, invert: Invert = False) -> np.ndarray:
        """Probabilities [n, classes] of images, without noise; columns are in the order of `classes`.

        Args:
          x: images as for `adapt`, or a single one (then n is 1).
          transductive: False normalises features by the statistics of the support images, so that each image is
            classified independently. True normalises by the statistics of x, as the paper's evaluation does
            (--normalization=batch), so that the prediction for an image depends on the other images in x. Then give a
            whole query set with equally many images of each class: for a single image, or for images of one class,
            most predictions are wrong.
          invert: see `adapt`.
        Raises:
          UsageError: `adapt` was not called, or x is not a set of images for this model.
        """
        if self._adapted is None:
            raise UsageError("the learner has not been adapted: call adapt(support_x, support_y) first.")
        images = user_images.batch(x, self._spec, "x", invert)
        if transductive:
            return tf.nn.softmax(
                self._transductive_logits(self._adapted, tf.constant(images, self.config.dtype))
            ).numpy()
        found = []
        for first in range(0, len(images), TOGETHER):
            part = images[first : first + TOGETHER]
            filled = np.concatenate([part, np.zeros_like(part[:1]).repeat(TOGETHER - len(part), 0)])
            some = tf.constant(filled if len(images) > 1 else part, self.config.dtype)
            found.append(self._logits(self._adapted, some, self._statistics)[: len(part)])
        return tf.nn.softmax(tf.concat(found, 0)).numpy()

    def predict(
        self, x: Any, transductive: bool = False, invert: Invert = False, reject_below: float | None = None
    ) -> np.ndarray:
        """Predicts the labels [n] of images, from those given to `adapt`; see `predict_proba` for the other arguments.

        Args:
          reject_below: a probability; if the likeliest class has a lower one, the label is None.
        """
        probabilities = self.predict_proba(x, transductive, invert)
        assert self.classes is not None  # `adapt` has set it
        labels = self.classes[np.argmax(probabilities, axis=-1)]
        if reject_below is None:
            return labels
        if not 0 <= reject_below <= 1:
            raise UsageError(f"reject_below={reject_below} is not a probability: give a number from 0 to 1.")
        labels = labels.astype(object)
        labels[probabilities.max(axis=-1) < reject_below] = None
        return labels
