"""How much arithmetic a step is, from the shapes of its convolutions and dense layers."""

from tf_metadrop.config import Config
from tf_metadrop.data.spec import DATASETS, LAYERS


def forward_flop(config: Config) -> list[int]:
    """Floating-point operations (2 per multiply-add) of one image in each convolution of theta and the dense layer."""
    spec = DATASETS[config.dataset]
    height, width, channels = spec.image_shape
    flop = []
    for _ in LAYERS:
        flop.append(2 * height * width * 9 * channels * spec.filters)
        height, width, channels = height // 2, width // 2, spec.filters
    return [*flop, 2 * height * width * channels * config.way]


def n_networks(config: Config) -> int:
    """2 where the noise comes from a convolution too, else 1."""
    without = {"maml", "fixed_gaussian", "independent_gaussian", "weight_gaussian"}
    return 1 if config.noise_name == "maml" or config.noise_variant == "ours" and config.noise_name in without else 2


def train_step_flop(config: Config) -> int:
    """Floating-point operations of a meta-training step: convolutions and dense layer, elementwise work left out.

    An inner step on a support image, per layer: forward theta and phi (2); kernel gradient of theta (1) and input
    gradients through theta and phi (2); and the derivative of all of that: of the two forward convolutions 2 each (4),
    of the kernel gradient 2, of the two input gradients 2 each (4). The query image: forward 2, backward 4. MAML: the
    same without phi. The first layer has no input gradient.
    """
    networks = n_networks(config)
    first, rest = forward_flop(config)[0], sum(forward_flop(config)[1:])
    inner_first, inner_rest = networks + 1, networks + 1 + networks
    if config.second_order != "first":
        inner_first += networks + 1  # kernel gradients of both; the derivative of theta's kernel gradient by its output
        inner_rest += 2 * networks + 2 + 2 * networks
    support = config.n_steps * config.shot * (inner_first * first + inner_rest * rest)
    query = config.query * (2 * networks * first + 3 * networks * rest)
    return config.metabatch * config.way * (support + query)


def test_step_flop(config: Config) -> int:
    """The same for a meta-test step: inner steps of first order, each n_test_mc_samp times, and a query forward."""
    networks = n_networks(config)
    first, rest = forward_flop(config)[0], sum(forward_flop(config)[1:])
    support = (
        config.n_steps * config.n_test_mc_samp * config.shot * ((networks + 1) * first + (2 * networks + 1) * rest)
    )
    return config.metabatch * config.way * (support + config.query * networks * (first + rest))
