"""The counted arithmetic against sums made by hand, and what is not counted."""

import functools

import pytest
import tensorflow as tf

from tf_metadrop.algorithm import flops
from tf_metadrop.config.config import Config

FIRST = 2 * 28 * 28 * 9 * 64  # of a convolution of theta or phi on one Omniglot image
REST = 2 * (14 * 14 + 7 * 7 + 3 * 3) * 9 * 64 * 64
LAST = 2 * 64 * 5  # theta's dense layer; phi's takes one column for another
counted = functools.cache(flops.train_step_flop)


def config(**more):
    return Config(**dict(dataset="omniglot", way=5, shot=2, query=3, metabatch=2, n_steps=2) | more)


def in_millions(flop):
    return flop / 2 / 5 / 1e6  # of 2 tasks and 5 classes


def adapting_and_query(networks, second_order):
    """Of a class, by hand; `networks` is 2 where each convolution of theta has one of phi beside it.

    An inner step on an image: forward (networks), the kernel gradient of theta (1) and the input gradients (networks,
    not in the first layer). Its derivative, to second order: 2 for each of these whose result depends on two things,
    1 in the first layer, where the image is given. The query: forward, kernel and input gradients.
    """
    first, rest = networks + 1, 2 * networks + 1
    if second_order:
        first, rest = first + networks + 1, rest + 2 * networks + 2 + 2 * networks
    return 2 * 2 * (first * FIRST + rest * REST) + 3 * networks * (2 * FIRST + 3 * REST)


@pytest.mark.parametrize("order", ["exact", "first"])
@pytest.mark.parametrize(("maml", "networks"), [(True, 1), (False, 2)])
def test_the_count_is_the_sum_by_hand(maml, networks, order):
    by_hand = adapting_and_query(networks, order == "exact") / 1e6  # but for the dense layer
    assert in_millions(counted(config(maml=maml, second_order=order))) == pytest.approx(by_hand, rel=1e-3)


@pytest.mark.nightly
@pytest.mark.slow
def test_known_case():
    """About 258 GFLOP an iteration were estimated for this case, elementwise work included."""
    found = counted(Config(dataset="omniglot", way=20, shot=1, query=15, metabatch=4))
    assert found / 1e9 == pytest.approx(258, rel=0.03)


def test_the_gradient_of_the_release_is_less_work_than_the_exact_one():
    exact, release, first = [counted(config(second_order=order, maml=False)) for order in ("exact", "tf1", "first")]
    assert first < release < exact


@pytest.mark.parametrize(("where", "images"), [("inner", 2 * 2), ("query", 3)])
def test_the_attack_of_adversarial_training_counts_with_all_its_steps(where, images):
    plain, adversarial = [counted(config(maml=True, second_order="exact", **more)) for more in ({}, attack(where))]
    assert in_millions(adversarial - plain) == pytest.approx(4 * images * 2 * (FIRST + REST + LAST) / 1e6, rel=1e-6)


def attack(where):
    return dict(adv_train=where, adv_steps=4)


def test_every_sample_of_a_test_counts_but_the_first_layer_s_maps_once():
    one, four = [flops.test_step_flop(config(mode="meta_test", n_test_mc_samp=n)) for n in (1, 4)]
    again = 2 * 2 * (2 * REST + (2 + 1) * REST)  # forward; input gradients of both and theta's kernel gradient
    assert in_millions(four - one) == pytest.approx(3 * again / 1e6, rel=0.01)


def test_only_what_is_needed_counts_and_an_unknown_loop_once():
    a = tf.TensorSpec([3, 4])

    @tf.function(autograph=False)
    def function(a):
        tf.matmul(a, a, transpose_b=True)  # for nothing
        less = lambda b, _: tf.reduce_sum(b) < 9.0
        grown, _ = tf.while_loop(less, lambda b, i: (tf.matmul(tf.matmul(b, a, transpose_b=True), a), i), (a, 0))
        return tf.matmul(grown, a, transpose_a=True)

    assert flops.flop(function.get_concrete_function(a).graph) == 2 * (3 * 3 * 4 + 3 * 4 * 3 + 4 * 4 * 3)


def test_what_has_no_fixed_shape_is_not_counted():
    product = tf.function(tf.matmul, autograph=False)
    graph = product.get_concrete_function(tf.TensorSpec([None, 4]), tf.TensorSpec([4, 2])).graph
    with pytest.raises(flops.Uncounted, match="shape of MatMul:0 is not known"):
        flops.flop(graph)


@pytest.mark.parametrize(
    "product",
    [lambda a: tf.cond(tf.reduce_sum(a) > 0, lambda: a @ a, lambda: a), lambda a: tf.einsum("ij,jk->ik", a, a)],
)
def test_what_is_not_counted_says_so(product):
    graph = tf.function(product, autograph=False).get_concrete_function(tf.TensorSpec([4, 4])).graph
    with pytest.raises(flops.Uncounted, match="whose operations are not counted"):
        flops.flop(graph)
