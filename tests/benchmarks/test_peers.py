"""The plain versions compute the same."""

import subprocess
import sys

import pytest

from benchmarks import peers, problem
from tests.helpers.runs import ROOT
from tf_metadrop import Config
from tf_metadrop.data import DATASETS
from tf_metadrop.nn.backbones import conv4

SMALL = Config(dataset="omniglot", way=3, shot=1, query=2, metabatch=2, n_steps=2)


@pytest.mark.slow
def test_plain_tensorflow_gives_our_loss_and_gradient():
    loss, ours = peers.gradients("ours", SMALL)
    other_loss, theirs = peers.gradients("plain_tf", SMALL)
    assert loss == pytest.approx(other_loss, rel=1e-12)
    assert set(ours) == set(theirs)
    for name, gradient in ours.items():
        assert gradient == pytest.approx(theirs[name], rel=1e-8, abs=1e-12), name


def test_plain_tensorflow_gives_our_meta_test_losses():
    config = Config(
        mode="meta_test", dataset="omniglot", way=3, shot=1, query=2, metabatch=2, n_steps=1, n_test_mc_samp=3
    )
    assert peers.test_losses("ours", config) == pytest.approx(peers.test_losses("plain_tf", config), rel=1e-12)


def test_problem_has_our_shapes_without_tensorflow():
    for name, spec in DATASETS.items():
        assert problem.shapes(name, 7) == conv4.make(spec).shapes(7)
    program = "import sys; from benchmarks import peers; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
