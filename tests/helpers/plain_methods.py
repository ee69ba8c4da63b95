"""Every method's equations once more, in plain float64 TensorFlow and SciPy, sharing no code with the package.

Sources: docs/reference/tf1_behaviour.md (network, inner loop, the report's noise types), and the methods' docstrings.
"""

import numpy as np
import tensorflow as tf
from scipy import special, stats

LAYERS = 1, 2, 3, 4


def conv(x, kernel, bias):
    return tf.nn.conv2d(x, kernel, 1, "SAME") + bias


def batch_norm(x, beta):
    mean = tf.reduce_mean(x, (0, 1, 2))
    variance = tf.reduce_mean((x - mean) ** 2, (0, 1, 2))
    return (x - mean) / tf.sqrt(variance + 1e-3) + beta


def softplus(x):
    return tf.math.log(1 + tf.exp(x))


def noisy(name, p, layer, h, e):
    """What goes to the batch normalisation of a block; e: standard normal noise of any shape, None: not sampling."""
    kernel, bias = p[f"theta/conv{layer}_w"], p[f"theta/conv{layer}_b"]
    m = p[f"phi/conb{layer}_b"]
    mu, alpha = conv(h, kernel, bias), conv(h, p[f"phi/conv{layer}_w"], m)
    if e is None:
        not_sampling = {
            "maml": mu, "fixed_gaussian": mu * np.log(2), "independent_gaussian": mu * softplus(m),
            "weight_gaussian": mu, "additive": mu + alpha, "additive_report": mu + alpha,
        }  # fmt: skip
        return not_sampling.get(name, mu * softplus(alpha))
    if name == "weight_gaussian":
        return conv(h, kernel + softplus(m - 4) * e(kernel.shape), bias)
    n = e(mu.shape)
    of_ones = conv(tf.ones_like(h), p[f"phi/conv{layer}_w"], m)
    return {
        "maml": mu,
        "metadrop": mu * softplus(alpha + n),
        "deterministic": mu * softplus(alpha),
        "fixed_gaussian": mu * softplus(n),
        "independent_gaussian": mu * softplus(m + n),
        "additive": mu + alpha + n,
        "fixed_gaussian_report": mu * softplus(1 + n),
        "weight_gaussian_report": mu * softplus(1 + alpha * n),
        "independent_gaussian_report": mu * softplus(of_ones + n),
        "additive_report": mu + (1 + 0.01 * alpha * n),
    }[name]


def logits_of(name, p, f, e):
    kernel, bias = p["theta/dense_w"], p["theta/dense_b"]
    mean = f @ kernel + bias
    if e is None or name in ("maml", "deterministic"):
        return mean
    if name == "weight_gaussian":
        return f @ (kernel + softplus(p["phi/dense_b"] - 4) * e(kernel.shape)) + bias
    scale = {
        "fixed_gaussian": np.log(2), "independent_gaussian": softplus(p["phi/dense_b"]),
    }.get(name, softplus(f @ p["phi/dense_w"] + p["phi/dense_b"]))  # fmt: skip
    return mean + scale * e(mean.shape)


def loss(config, name, p, x, y, noise):
    """(loss, logits); noise: None, or a function (layer, shape) -> array."""
    at = lambda layer: None if noise is None else lambda shape: noise(layer, shape)
    penalty, mixed_at = 0.0, None
    if config.regularizer == "manifold_mixup" and noise is not None:
        drawn = np.asarray(noise(6, [x.shape[0] + 2]))
        u = stats.norm.cdf(drawn[:2])
        mixed_at, share = int(np.floor(4 * u[0])) + 1, special.betaincinv(config.mixup_alpha, config.mixup_alpha, u[1])
        matrix = share * np.eye(len(drawn) - 2) + (1 - share) * np.eye(len(drawn) - 2)[np.argsort(drawn[2:])]
        y = matrix @ y
    h = x
    for layer in LAYERS:
        if layer == mixed_at:
            h = tf.reshape(matrix @ tf.reshape(h, [h.shape[0], -1]), h.shape)
        z = tf.nn.relu(batch_norm(noisy(name, p, layer, h, at(layer)), p[f"conv{layer}_bn/beta"]))
        if config.regularizer == "info_dropout":
            a = 0.001 + 0.7 / (1 + tf.exp(-conv(h, p[f"theta/info{layer}_w"], p[f"theta/info{layer}_b"])))
            penalty += config.info_beta * tf.reduce_sum(-tf.math.log(a / 0.701)) / x.shape[0]
            if noise is not None:
                z *= tf.exp(a * noise(6 + layer, a.shape))
        h = tf.nn.max_pool2d(z, 2, 2, "VALID")
    f = tf.reshape(h, [x.shape[0], -1])
    if config.regularizer == "vib":
        s = softplus(f @ p["theta/vib_w"] + p["theta/vib_b"] - 5)
        penalty += config.vib_beta * tf.reduce_sum((f**2 + s**2 - 1) / 2 - tf.math.log(s)) / x.shape[0]
        f = f if noise is None else f + s * noise(6, f.shape)
    logits = logits_of(name, p, f, at(5))
    cross_entropy = -tf.reduce_mean(tf.reduce_sum(y * tf.nn.log_softmax(logits), -1))
    return cross_entropy + penalty, logits


def adapted(config, name, p, x, y, noise):
    """All parameters after the inner loop; noise: (step, sample, layer, shape) -> array."""
    for step in range(config.n_steps):
        theta = {key: w for key, w in p.items() if key.startswith("theta/")}
        with tf.GradientTape() as tape:
            tape.watch(theta)
            value, _ = loss(config, name, {**p, **theta}, x, y, lambda layer, shape, k=step: noise(k, 0, layer, shape))
        for key, g in tape.gradient(value, theta, unconnected_gradients="zero").items():
            rate = p["metasgd/" + key[6:]] if config.inner == "metasgd" else config.inner_lr
            p = {**p, key: theta[key] - rate * g}
    return p


def outer(config, name, p, task, noise):
    """The outer loss, and its gradient by all parameters."""
    with tf.GradientTape() as tape:
        tape.watch(p)
        after = adapted(config, name, p, task.support_x, task.support_y, noise)
        value, _ = loss(config, name, after, task.query_x, task.query_y, None)
    return value, tape.gradient(value, p, unconnected_gradients="zero")


def project(d, eps, norm):
    """Projection of a vector on a ball, in NumPy: L1 by bisection of the threshold."""
    d = np.asarray(d, np.float64)
    if norm == "linf":
        return np.clip(d, -eps, eps)
    size = np.abs(d).sum() if norm == "l1" else np.sqrt((d**2).sum())
    if size <= eps:
        return d
    if norm == "l2":
        return d * eps / size
    low, high = 0.0, np.abs(d).max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(np.abs(d) - middle, 0).sum() > eps else (low, middle)
    return np.sign(d) * np.maximum(np.abs(d) - high, 0)


def ascent(g, norm):
    """The direction of a step, for one image's gradient."""
    if norm == "linf":
        return np.sign(g)
    if norm == "l2":
        return g / np.linalg.norm(g)
    kept = np.abs(g) >= np.quantile(np.abs(g), 0.99)
    return np.sign(g) * kept / kept.sum()


def pgd(x, value_of, norm, eps, steps, start):
    """PGD on a batch x, image by image but for the gradient; start: perturbations, [batch, pixels]."""
    flat = np.reshape(x, [len(x), -1])
    inside = lambda d: np.clip(flat + d, 0, 1) - flat
    d = inside(start)
    for _ in range(steps):
        point = tf.constant(np.reshape(flat + d, x.shape))
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = value_of(point)
        g = np.reshape(tape.gradient(value, point), flat.shape)
        g = np.where(((flat + d <= 0) & (g < 0)) | ((flat + d >= 1) & (g > 0)), 0, g)
        moved = [project(d[i] + 2.5 * eps / steps * ascent(g[i], norm), eps, norm) for i in range(len(x))]
        d = inside(np.stack(moved))
    return np.reshape(flat + d, x.shape)
