"""Conv-4 as pure functions over named parameters (TF1_BEHAVIOUR, "Network").

Parameters are one flat dict from the TF1 program's variable names to tensors. theta/ is adapted by the inner loop,
phi/ (the noise generator) and conv?_bn/beta are not.
"""

import tensorflow as tf

from tf_metadrop.data.spec import LAYERS, DatasetSpec
from tf_metadrop.errors import UsageError
from tf_metadrop.nn.layers import constant_gradient, cross_entropy
from tf_metadrop.nn.rng import fold

DENSE = 5  # the dense layer's number where layers are counted
INITIAL_SD = 0.02


def n_features(spec: DatasetSpec) -> int:
    """Size of the last hidden features, after four poolings that round down: 64 (omniglot), 800 (mimgnet)."""
    return (spec.height // 16) * (spec.width // 16) * spec.filters


def shapes(spec: DatasetSpec, way: int, method=None) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter, by its TF1 name (phi's biases are called conb there); then those that `method` adds."""
    filters, features = spec.filters, n_features(spec)
    theta, phi, beta = {}, {}, {}
    for layer in LAYERS:
        kernel = (3, 3, spec.channels if layer == 1 else filters, filters)
        theta |= {f"theta/conv{layer}_w": kernel, f"theta/conv{layer}_b": (filters,)}
        phi |= {f"phi/conv{layer}_w": kernel, f"phi/conb{layer}_b": (filters,)}
        beta[f"conv{layer}_bn/beta"] = (filters,)
    theta |= {"theta/dense_w": (features, way), "theta/dense_b": (way,)}
    phi |= {"phi/dense_w": (features, 1), "phi/dense_b": (1,)}
    found = theta | phi | beta
    return found | method.parameters(spec, theta) if method else found


def initial(spec: DatasetSpec, way: int, seed: tf.Tensor, method=None) -> dict[str, tf.Tensor]:
    """Initial parameters in float32: kernels of sd 0.02 (convolutions cut at 2 sd), biases and offsets 0.

    Args:
      seed: [2], see `rng.key`.
      method: see `tf_metadrop.methods.method`; None: the TF1 program's parameters alone.
    """
    params = {}
    for index, (name, shape) in enumerate(shapes(spec, way, method).items()):
        if name.endswith("dense_w"):
            params[name] = tf.random.stateless_normal(shape, fold(seed, index), stddev=INITIAL_SD)
        elif name.endswith("_w"):
            params[name] = tf.random.stateless_truncated_normal(shape, fold(seed, index), stddev=INITIAL_SD)
        else:
            params[name] = tf.zeros(shape)
    return method.start(params) if method else params


def fitting(params, spec: DatasetSpec, way: int, source: str, method=None) -> dict[str, tf.Tensor]:
    """The parameters that this model with this method has, in its order; what else a checkpoint holds is left out.

    Raises:
      UsageError: one is missing or has another shape; `source` is named in the sentence.
    """
    wanted = shapes(spec, way, method)
    for name, shape in wanted.items():
        if name not in params:
            raise UsageError(
                f"{source} has no variable {name}: it is not a checkpoint of this model, or of another method "
                "(--noise_type, --inner, --regularizer)."
            )
        if tuple(params[name].shape) != shape:
            raise UsageError(
                f"{source} has {name} of shape {tuple(params[name].shape)} but {spec.name} {way}-way needs {shape}: "
                "give the --dataset and --way that it was trained with."
            )
    return {name: params[name] for name in wanted}


def encode(params, x, method, noise=None, second_order="exact", mixing=None):
    """Features before the dense layer, and the regulariser's penalty.

    Args:
      params: dict of parameters.
      x: images in [0, 1], [batch, height, width, channels].
      method: see `tf_metadrop.methods.method`.
      noise: None (not sampling), or a function (layer, shape) -> standard normal noise of this shape.
      second_order: `tf1` makes the batch norms' backward results constants.
      mixing: of `Regularizer.mix`; None: nothing is mixed.
    Returns:
      ([batch, features], penalty).
    """
    h, regularizer, penalties = x, method.regularizer, []
    for layer in LAYERS:
        h = regularizer.enter(layer, h, mixing)
        x = method.noise.features(params, layer, h, at_layer(noise, layer))
        if second_order == "tf1":
            x = constant_gradient(x)
        h, penalty = regularizer.leave(params, layer, h, x, noise)
        penalties.append(penalty)
    f = tf.reshape(h, [*h.shape[:-3], h.shape[-3] * h.shape[-2] * h.shape[-1]])
    f, penalty = regularizer.last(params, f, noise)
    return f, sum(penalties, penalty)


def hidden(params, x, method, noise=None):
    """Features [batch, features] before the dense layer; arguments as for `encode`."""
    return encode(params, x, method, noise)[0]


def forward(params, x, method, noise=None):
    """Logits [batch, way] of images [batch, height, width, channels]; arguments as for `encode`."""
    return method.noise.logits(params, hidden(params, x, method, noise), at_layer(noise, DENSE))


def loss(params, x, y, method, noise=None, second_order="exact"):
    """Cross-entropy in nats against one-hot labels y [batch, way], with the regulariser's penalty.

    Returns:
      (loss, logits [batch, way]); arguments as for `encode`.
    """
    labels, mixing = method.regularizer.mix(y, noise)
    f, penalty = encode(params, x, method, noise, second_order, mixing)
    logits = method.noise.logits(params, f, at_layer(noise, DENSE))
    return cross_entropy(logits, labels) + penalty, logits


def at_layer(noise, layer):
    """`noise` with its first argument fixed; None stays None."""
    return None if noise is None else lambda shape: noise(layer, shape)
