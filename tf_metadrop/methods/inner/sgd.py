"""Gradient descent, as in MAML and Meta-dropout: theta' = theta - inner_lr * gradient."""


def parameters(theta):
    """None."""
    return {}


def initial(config):
    """Not needed."""
    return config.inner_lr


def step(theta, gradient, params, config):
    """One step on every parameter of theta."""
    return {name: theta[name] - config.inner_lr * gradient[name] for name in theta}
