"""The same meta-gradient in simple TensorFlow 2: tf.map_fn over tasks, basic operations, no optimisations."""

import tensorflow as tf


def conv(h, w, b):
    return tf.nn.conv2d(h, w, 1, "SAME") + b


def batch_norm(x, beta):
    mean = tf.reduce_mean(x, [0, 1, 2], keepdims=True)
    variance = tf.reduce_mean(tf.square(x - mean), [0, 1, 2], keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-3) + beta


def forward(p, x, normal):
    """Logits [batch, way]; normal(layer, shape) draws noise, None does not sample."""
    h = x
    for layer in range(1, 5):
        mu = conv(h, p[f"theta/conv{layer}_w"], p[f"theta/conv{layer}_b"])
        a = conv(h, p[f"phi/conv{layer}_w"], p[f"phi/conb{layer}_b"])
        if normal:
            a += normal(layer, a.shape)
        h = batch_norm(mu * tf.nn.softplus(a), p[f"conv{layer}_bn/beta"])
        h = tf.nn.max_pool2d(tf.nn.relu(h), 2, 2, "VALID")
    f = tf.reshape(h, [h.shape[0], -1])
    mean = f @ p["theta/dense_w"] + p["theta/dense_b"]
    if not normal:
        return mean
    return mean + tf.nn.softplus(f @ p["phi/dense_w"] + p["phi/dense_b"]) * normal(5, mean.shape)


def fresh(layer, shape):
    return tf.random.normal(shape)


def cross_entropy(logits, labels):
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, logits))


def task_loss(p, task, inner_lr, n_steps, noise):
    """Query cross-entropy after adaptation; noise: None (drawn here) or a function (step, layer, shape)."""
    support_x, support_y, query_x, query_y = task
    theta = {name: w for name, w in p.items() if name.startswith("theta")}
    for step in range(n_steps):
        draw = (lambda layer, shape, s=step: noise(s, layer, shape)) if noise else fresh
        with tf.GradientTape() as tape:
            tape.watch(theta)
            loss = cross_entropy(forward({**p, **theta}, support_x, draw), support_y)
        gradient = tape.gradient(loss, theta)
        theta = {name: w - inner_lr * gradient[name] for name, w in theta.items()}
    return cross_entropy(forward({**p, **theta}, query_x, None), query_y)


def make_step(inner_lr, n_steps, noise=None):
    """A compiled (params, tasks) -> (loss, gradients); tasks: four tensors with a leading axis [metabatch]."""

    @tf.function
    def step(p, tasks):
        with tf.GradientTape() as tape:
            tape.watch(p)
            dtype = tasks[0].dtype
            one = lambda task: task_loss(p, task, inner_lr, n_steps, noise)
            loss = tf.reduce_mean(tf.map_fn(one, tasks, fn_output_signature=dtype))
        return loss, tape.gradient(loss, p)

    return step


def make_test_step(inner_lr, n_steps, n_samples, noise=None):
    """A compiled (params, tasks) -> losses [metabatch]: the meta-test path, one pass per noise sample and step.

    noise: None (drawn here) or a function (step, sample, layer, shape), sample a scalar tensor.
    """

    def one(p, task):
        support_x, support_y, query_x, query_y = task
        theta = {name: w for name, w in p.items() if name.startswith("theta")}
        for step in range(n_steps):

            def sample(number, theta=theta, step=step):
                draw = (lambda layer, shape: noise(step, number, layer, shape)) if noise else fresh
                return cross_entropy(forward({**p, **theta}, support_x, draw), support_y)

            with tf.GradientTape() as tape:
                tape.watch(theta)
                loss = tf.reduce_mean(tf.map_fn(sample, tf.range(n_samples), fn_output_signature=support_x.dtype))
            gradient = tape.gradient(loss, theta)
            theta = {name: w - inner_lr * gradient[name] for name, w in theta.items()}
        return cross_entropy(forward({**p, **theta}, query_x, None), query_y)

    return tf.function(lambda p, tasks: tf.map_fn(lambda t: one(p, t), tasks, fn_output_signature=tasks[0].dtype))
