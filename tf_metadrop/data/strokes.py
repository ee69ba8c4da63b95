"""Generated handwriting-like characters: a small stand-in for Omniglot that needs no files.

A class is a character of 1 to 4 smooth strokes. Each of its 20 images is the same character in another handwriting: its
control points are displaced, strokes are shifted against each other, the whole character is rotated, slanted, scaled
and moved, and the width of the pen differs. The images are part of the program: a fixed seed, frozen random streams
(MT19937) and plain arithmetic (no sin, exp or BLAS sums) make them the same on every machine and for every seed of a
run.
"""

import functools

import numpy as np

from tf_metadrop.data.spec import SPLITS, get_spec
from tf_metadrop.errors import UsageError

SEED = 20200426  # the first day of ICLR 2020
SIZE = 28  # image height and width, pixels
INSTANCES = 20
_BOX = 19.0  # height and width of a character before it is transformed, pixels
_SAMPLES = 24  # pen positions per span between two control points: at most about half a pixel apart
_WOBBLE = 0.055  # displacement of a control point, as a fraction of the box
_SHIFT = 0.035  # displacement of a stroke, as a fraction of the box
_TURN = 0.16  # tan of half the angle: 0.16 is 18 degrees
_SLANT = 0.25
_SCALE = 0.2
_MOVE = 2.0  # pixels
_PEN = (0.5, 0.9)  # half the width of a line, pixels


def generate(split: str) -> np.ndarray:
    """Draws a split, which is always the same; splits share no class.

    Args:
      split: "train", "val" or "test".

    Returns:
      uint8 [classes, 20, 28, 28, 1], ink = 255 on 0.

    Raises:
      UsageError: `split` is not known.
    """
    if split not in SPLITS:
        raise UsageError(f"split {split} is not known: give one of {', '.join(SPLITS)}.")
    return drawn(split).copy()


@functools.cache
def drawn(split: str) -> np.ndarray:
    """The images of `generate`, drawn once per process; do not write to this array."""
    count = get_spec("strokes").classes[split]
    images = np.empty((count, INSTANCES, SIZE, SIZE, 1), np.uint8)
    for label in range(count):
        sequence = np.random.SeedSequence([SEED, SPLITS.index(split), label])
        rng = np.random.RandomState(np.random.MT19937(sequence))
        images[label, ..., 0] = _write(rng, _character(rng))
    return images


def _character(rng: np.random.RandomState) -> list[np.ndarray]:
    """Draws a character: 1 to 4 strokes, each [points, 2] (y, x), fitted to the unit box; 3 to 7 spans in all."""
    while True:
        strokes: list[np.ndarray] = []
        for _ in range(rng.choice([1, 2, 2, 3, 3, 4])):
            strokes.append(_stroke(rng, strokes))
        if not 3 <= sum(len(stroke) - 1 for stroke in strokes) <= 7:
            continue
        points = np.concatenate(strokes)
        low, extent = points.min(0), np.ptp(points, axis=0)
        # Tall and wide characters keep their proportions, but lines are rejected.
        if extent.min() < 0.35 * extent.max():
            continue
        return [(stroke - low - extent / 2) / extent.max() + 0.5 for stroke in strokes]


def _stroke(rng: np.random.RandomState, earlier: list[np.ndarray]) -> np.ndarray:
    """Control points of one stroke: a walk that turns smoothly, and often starts on an earlier stroke."""
    start = rng.uniform(0.1, 0.9, 2)
    if earlier and rng.random_sample() < 0.5:
        previous = earlier[rng.randint(len(earlier))]
        start = previous[rng.randint(len(previous))]
    points: list[np.ndarray] = [start]
    heading = _direction(rng)
    for _ in range(rng.choice([1, 1, 2, 2, 3, 4])):
        for _ in range(8):
            step: np.ndarray = points[-1] + heading * rng.uniform(0.35, 0.7)
            if 0 <= step.min() and step.max() <= 1:
                break
            heading = _direction(rng)
        points.append(np.clip(step, 0, 1))
        turned = heading + 1.3 * _direction(rng)
        heading = turned / np.sqrt(turned[0] ** 2 + turned[1] ** 2 + 1e-9)
    return np.array(points)


def _direction(rng: np.random.RandomState) -> np.ndarray:
    """A unit vector, uniform in angle, by rejection: sin and cos would differ between platforms in the last bit."""
    while True:
        vector = rng.uniform(-1, 1, 2)
        square = vector[0] ** 2 + vector[1] ** 2
        if 0.01 < square < 1:
            return vector / np.sqrt(square)


def _bell(rng: np.random.RandomState, *shape: int) -> np.ndarray:
    """Bell-shaped numbers of variance 1 within +-3.5: scaled sums of four uniform numbers, of variance 4/12."""
    u = rng.uniform(-0.5, 0.5, (4, *shape))
    return (u[0] + u[1] + u[2] + u[3]) * 1.7320508


def _write(rng: np.random.RandomState, strokes: list[np.ndarray]) -> np.ndarray:
    """Writes a character in 20 handwritings: uint8 [20, 28, 28]."""
    paths = []
    for stroke in strokes:
        wobble = _WOBBLE * _bell(rng, INSTANCES, *stroke.shape) + _SHIFT * _bell(rng, INSTANCES, 1, 2)
        paths.append(_spline(stroke + wobble))
    pen = _hand(rng, np.concatenate(paths, axis=1) - 0.5)
    radius = rng.uniform(*_PEN, INSTANCES)
    return _ink(pen, radius)


def _spline(points: np.ndarray) -> np.ndarray:
    """A Catmull-Rom curve through points [n, k, 2]: [n, (k-1)*samples, 2]."""
    before = 2 * points[:, :1] - points[:, 1:2]
    after = 2 * points[:, -1:] - points[:, -2:-1]
    p = np.concatenate([before, points, after], axis=1)[:, :, None]
    a, b, c, d = p[:, :-3], p[:, 1:-2], p[:, 2:-1], p[:, 3:]
    t = ((np.arange(_SAMPLES) + 0.5) / _SAMPLES)[:, None]
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return curve.reshape(len(points), -1, 2)


def _hand(rng: np.random.RandomState, points: np.ndarray) -> np.ndarray:
    """Rotates, slants, scales and moves points [n, k, 2] of the box, differently for each n; returns pixels."""
    turn = np.clip(_bell(rng, INSTANCES, 1) * _TURN / 2, -_TURN, _TURN)
    cos, sin = (1 - turn**2) / (1 + turn**2), 2 * turn / (1 + turn**2)
    slant = rng.uniform(-_SLANT, _SLANT, (INSTANCES, 1))
    scale = 1 + rng.uniform(-_SCALE, _SCALE, (INSTANCES, 1, 2))
    move = rng.uniform(-_MOVE, _MOVE, (INSTANCES, 1, 2))
    y, x = points[..., 0], points[..., 1]
    x = x + slant * y
    turned = np.stack([cos * y - sin * x, sin * y + cos * x], axis=-1)
    return _BOX * scale * turned + move + (SIZE - 1) / 2


def _ink(points: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Ink of round pens of `radius` [n] at points [n, k, 2]: uint8 [n, 28, 28], anti-aliased by distance to the pen."""
    # near: the pixels that a pen can reach
    near = np.floor(points).astype(np.int32)[..., None] + np.arange(-1, 3, dtype=np.int32)
    square = (near - points[..., None]).astype(np.float32) ** 2
    place, side = np.clip(near + 1, 0, SIZE + 1), SIZE + 2  # a border of one pixel takes the ink outside
    y, x = place[:, :, 0, :, None], place[:, :, 1, None, :]
    closest = np.full((len(points), side, side), SIZE, np.float32)
    pixel = y * side + x + np.arange(0, closest.size, side * side, dtype=np.int32)[:, None, None, None]
    np.minimum.at(closest.reshape(-1), pixel.ravel(), (square[:, :, 0, :, None] + square[:, :, 1, None, :]).ravel())
    distance, reach = np.sqrt(closest[:, 1:-1, 1:-1]), (radius + 0.5).astype(np.float32)[:, None, None]
    return np.rint(np.clip(reach - distance, 0, 1) * 255).astype(np.uint8)
