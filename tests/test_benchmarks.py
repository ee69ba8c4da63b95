"""The benchmark measures the real steps, and the plain versions compute the same."""

import pytest

from benchmarks import peers, step, work
from tf_metadrop import Config

SMALL = Config(dataset="omniglot", way=3, shot=1, query=2, metabatch=2, n_steps=2)


def test_benchmark_times_the_training_step_itself(monkeypatch):
    from tf_metadrop import meta

    called = []
    real = meta.make_train_step
    monkeypatch.setattr(meta, "make_train_step", lambda *arguments: called.append(arguments) or real(*arguments))
    result = step.measure(SMALL, iters=1)
    assert called and result["median_s"] > 0 and result["peak_rss_mb"] > 100 and result["first_call_s"] > 0


def test_plain_tensorflow_gives_our_loss_and_gradient():
    loss, ours = peers.gradients("ours", SMALL)
    other_loss, theirs = peers.gradients("plain_tf", SMALL)
    assert loss == pytest.approx(other_loss, rel=1e-12)
    for name, gradient in ours.items():
        assert gradient == pytest.approx(theirs[name], rel=1e-8, abs=1e-12), name


def test_work_is_that_of_the_known_case():
    """About 258 GFLOP an iteration were estimated for this case, elementwise work included."""
    config = Config(dataset="omniglot", way=20, shot=1, query=15, metabatch=4)
    assert work.train_step_flop(config) / 1e9 == pytest.approx(258, rel=0.03)
