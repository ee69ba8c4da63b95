"""The same meta-gradient in PyTorch: torch.autograd.grad with create_graph, one task after the other."""

import torch
import torch.nn.functional as F


def parameters(weights):
    """Converts NumPy parameters of this project to PyTorch.

    Kernels are [3, 3, in, out]; dense weights expect features that are flattened as height, width, channels.
    """
    made = {}
    for name, w in weights.items():
        t = torch.tensor(w)
        made[name] = (t.permute(3, 2, 0, 1).contiguous() if t.ndim == 4 else t).requires_grad_()
    return made


def gradient_arrays(params, gradients):
    """PyTorch gradients by name, as NumPy arrays in the layout of this project."""
    back = lambda g: (g.permute(2, 3, 1, 0) if g.ndim == 4 else g).detach().numpy()
    return {name: back(g) for name, g in zip(params, gradients, strict=True) if g is not None}


def batch_norm(x, beta):
    return F.batch_norm(x, None, None, torch.ones_like(beta), beta, training=True, eps=1e-3)


def forward(p, x, normal):
    """Logits [batch, way] of x [batch, channels, height, width]; normal(layer, shape) draws noise in that layout."""
    h = x
    for layer in range(1, 5):
        mu = F.conv2d(h, p[f"theta/conv{layer}_w"], p[f"theta/conv{layer}_b"], padding=1)
        a = F.conv2d(h, p[f"phi/conv{layer}_w"], p[f"phi/conb{layer}_b"], padding=1)
        if normal:
            a = a + normal(layer, a.shape)
        h = F.max_pool2d(F.relu(batch_norm(mu * F.softplus(a), p[f"conv{layer}_bn/beta"])), 2)
    f = h.permute(0, 2, 3, 1).reshape(len(x), -1)
    mean = f @ p["theta/dense_w"] + p["theta/dense_b"]
    if not normal:
        return mean
    return mean + F.softplus(f @ p["phi/dense_w"] + p["phi/dense_b"]) * normal(5, mean.shape)


def fresh(layer, shape):
    return torch.randn(shape)


def task_loss(p, task, inner_lr, n_steps, noise):
    """Query cross-entropy after adaptation; labels are class numbers."""
    support_x, support_y, query_x, query_y = task
    theta = {name: w for name, w in p.items() if name.startswith("theta")}
    for step in range(n_steps):
        draw = (lambda layer, shape, s=step: noise(s, layer, shape)) if noise else fresh
        loss = F.cross_entropy(forward({**p, **theta}, support_x, draw), support_y)
        gradients = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
        theta = {name: w - inner_lr * g for (name, w), g in zip(theta.items(), gradients, strict=True)}
    return F.cross_entropy(forward({**p, **theta}, query_x, None), query_y)


def step(p, tasks, inner_lr, n_steps, noise=None):
    """(loss, gradients in the order of p): the mean over the tasks, each differentiated before the next begins."""
    total, loss_sum = None, 0.0
    for task in tasks:
        loss = task_loss(p, task, inner_lr, n_steps, noise) / len(tasks)
        gradients = torch.autograd.grad(loss, list(p.values()), allow_unused=True)
        loss_sum += loss.item()
        total = gradients if total is None else [a + b for a, b in zip(total, gradients, strict=True)]
    return loss_sum, total


def test_step(p, tasks, inner_lr, n_steps, n_samples, noise=None):
    """Losses of the tasks: the meta-test path, first order, each noise sample differentiated before the next begins."""
    losses = []
    for support_x, support_y, query_x, query_y in tasks:
        theta = {name: w for name, w in p.items() if name.startswith("theta")}
        for step in range(n_steps):
            total = [torch.zeros_like(w) for w in theta.values()]
            for j in range(n_samples):
                draw = (lambda layer, shape, s=step, j=j: noise(s, j, layer, shape)) if noise else fresh
                loss = F.cross_entropy(forward({**p, **theta}, support_x, draw), support_y) / n_samples
                total = [a + g for a, g in zip(total, torch.autograd.grad(loss, list(theta.values())), strict=True)]
            adapted = [w.detach() - inner_lr * g for w, g in zip(theta.values(), total, strict=True)]
            theta = {name: w.requires_grad_() for name, w in zip(theta, adapted, strict=True)}
        with torch.no_grad():
            losses.append(F.cross_entropy(forward({**p, **theta}, query_x, None), query_y).item())
    return losses
