"""The random weights, tasks and noise that `benchmarks.peers` gives to all implementations.

Nothing here loads TensorFlow, because its memory would count in the process that measures PyTorch.
"""

import numpy as np

from tf_metadrop.config.config import Config
from tf_metadrop.data import DATASETS


def shapes(dataset: str, way: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters of conv4 with Meta-dropout, by name."""
    spec = DATASETS[dataset]
    height, width, channels = spec.image_shape
    features = (height // 16) * (width // 16) * spec.filters
    made = {}
    for name, bias, outputs in (("theta", "conv", way), ("phi", "conb", 1)):
        for layer in range(1, 5):
            made[f"{name}/conv{layer}_w"] = 3, 3, channels if layer == 1 else spec.filters, spec.filters
            made[f"{name}/{bias}{layer}_b"] = (spec.filters,)
        made |= {f"{name}/dense_w": (features, outputs), f"{name}/dense_b": (outputs,)}
    return made | {f"conv{layer}_bn/beta": (spec.filters,) for layer in range(1, 5)}


def problem(settings: Config, dtype: str, seed: int = 0):
    """Random weights by name, tasks (support_x, support_y, query_x, query_y), and noise(step, layer, shape)."""
    spec, c, random = DATASETS[settings.dataset], settings, np.random.RandomState(seed)
    weights = {
        name: (random.standard_normal(shape) * 0.1).astype(dtype) for name, shape in shapes(c.dataset, c.way).items()
    }
    images = lambda n: random.random_sample([c.metabatch, c.way * n, *spec.image_shape]).astype(dtype)
    labels = lambda n: np.tile(np.repeat(np.arange(c.way), n), (c.metabatch, 1))
    tasks = images(c.shot), labels(c.shot), images(c.query), labels(c.query)
    noise = lambda step, layer, shape: np.random.RandomState(10 * step + layer).standard_normal(shape).astype(dtype)
    return weights, tasks, noise


def one_hot(tasks, way, dtype):
    """The tasks with one-hot labels."""
    support_x, support_y, query_x, query_y = tasks
    return support_x, np.eye(way, dtype=dtype)[support_y], query_x, np.eye(way, dtype=dtype)[query_y]


def torch_tasks(tasks):
    """The tasks as a list of tuples of PyTorch tensors, images [batch, channels, height, width]."""
    import torch

    to = lambda a: torch.tensor(a).permute(0, 3, 1, 2).contiguous() if a.ndim == 4 else torch.tensor(a)
    return [tuple(to(part[index]) for part in tasks) for index in range(len(tasks[0]))]
