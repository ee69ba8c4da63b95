"""Tasks (episodes) as tensors."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from tf_metadrop.config.config import Config


class Task(NamedTuple):
    """One episode: images in [0, 1] and one-hot labels."""

    support_x: tf.Tensor  # [way * shot, height, width, channels]
    support_y: tf.Tensor  # [way * shot, way]
    query_x: tf.Tensor  # [way * query, height, width, channels]
    query_y: tf.Tensor  # [way * query, way]


TaskGetter: TypeAlias = Callable[[tf.Tensor], Task]  # from the number of a task, or the numbers of several


def gather_task(
    images: tf.Tensor,
    support: tf.Tensor,
    query: tf.Tensor,
    way: int,
    shot: int,
    n_query: int,
    dtype: tf.DType | str = tf.float32,
) -> Task:
    """Gathers the images of one task, or of several, from a split.

    Args:
      images: [classes * instances, height, width, channels]; uint8 means 0..255, floats are in [0, 1].
      support, query: indices into images, [..., way * shot] and [..., way * n_query], class by class.
      way, shot, n_query: sizes of the task.
      dtype: dtype of the task's images and labels.
    """

    def cut(indices: tf.Tensor) -> tf.Tensor:
        x = tf.gather(images, indices)
        return tf.cast(x, dtype) / 255 if images.dtype == tf.uint8 else tf.cast(x, dtype)

    def one_hot(indices: tf.Tensor, per_class: int) -> tf.Tensor:
        labels = tf.one_hot(tf.repeat(tf.range(way), per_class), way, dtype=dtype)
        return tf.broadcast_to(labels, [*indices.shape[:-1], *labels.shape])

    return Task(cut(support), one_hot(support, shot), cut(query), one_hot(query, n_query))


def task_getter(
    images: tf.Tensor, support: tf.Tensor, query: tf.Tensor, config: Config, dtype: tf.DType | str = tf.float32
) -> TaskGetter:
    """Makes a function from the number of a task, or of several, to the Task; the arguments are those of a step."""
    way, shot, n_query = config.way, config.shot, config.query
    cut = lambda indices, index: tf.gather(indices, index)
    return lambda index: gather_task(images, cut(support, index), cut(query, index), way, shot, n_query, dtype)
