"""Checkpoints of the TF1 program, both ways. golden/tf1_checkpoint was written by TF 1.12."""

import pathlib
import shutil

import pytest
import tensorflow as tf

from tests.helpers.golden_case import GoldenCase
from tests.helpers.runs import assert_equal_arrays
from tf_metadrop import Config, MetaLearner, UsageError
from tf_metadrop.modes.compare import load_like
from tf_metadrop.runs import checkpoint, tf1_checkpoint
from tf_metadrop.runs.train_log import header

WRITTEN_BY_TF1 = pathlib.Path(__file__).parents[1] / "golden" / "tf1_checkpoint"
HEADER = (
    "dataset: mimgnet\nway: 5\nshot: 1\nquery: 15\ninner_lr: 0.01\nn_steps: 5\nmaml: True\nname: x\n\n\nIter 0 start\n"
)


@pytest.fixture
def savedir(tmp_path):
    return pathlib.Path(shutil.copytree(WRITTEN_BY_TF1, tmp_path / "tf1"))


def test_reading_what_tf1_wrote(savedir):
    params = GoldenCase("mimgnet_5way1shot_metadrop_1", tf.float32).params
    read, run = checkpoint.load_params(savedir)
    assert checkpoint.kind(savedir) == "tf1" and run == {}
    assert_equal_arrays(read, params)


def test_settings_come_from_the_header_of_the_log(savedir):
    (savedir / "meta_train.log").write_text(HEADER)
    learner = MetaLearner.load(str(savedir))
    config = learner.config
    assert (config.dataset, config.way, config.query, config.inner_lr, config.method) == (
        "mimgnet",
        5,
        15,
        0.01,
        "maml",
    )
    assert MetaLearner.load(str(savedir), n_steps=3).config.n_steps == 3
    assert "second_order" not in tf1_checkpoint.settings(savedir)  # which the TF1 program does not know


@pytest.mark.parametrize(
    ("maml", "noise_type", "method"),
    [
        (False, "fixed_gaussian", "fixed_gaussian_report"),
        (False, "metadrop", "metadrop"),
        (True, "maml", "maml"),
        (False, "maml", "maml"),  # its two flags are independent
        (True, "metadrop", "maml"),
        (True, "fixed_gaussian", "maml"),
    ],
)
def test_settings_of_the_report_s_program(maml, noise_type, method, savedir, tmp_path):
    """Its header has the noise type, no variant, besides what the release's has (docs/reference/tf1_behaviour.md)."""
    lines = f"maml: {maml}\nnoise_type: {noise_type}\n"
    (savedir / "meta_train.log").write_text(HEADER.replace("maml: True\n", lines))
    config = Config().inherit(tf1_checkpoint.settings(savedir), given=set())
    assert config.method == method
    assert config.noise_variant == ("report" if method.endswith("report") else "ours")
    if method == "maml":
        assert MetaLearner.load(str(savedir)).config.method == method
        assert load_like(savedir, config)


def test_settings_of_ours_come_from_the_header_too(savedir):
    config = Config(dataset="mimgnet", way=5, noise_type="additive", second_order="first", seed=3, wandb="disabled")
    log = header(config).decode()
    (savedir / "meta_train.log").write_text(log)
    assert config.differences(tf1_checkpoint.settings(savedir)) == []
    (savedir / "meta_train.log").write_text(log.replace("way: 5", "way: five").replace("seed: 3", "seed: -3"))
    found = tf1_checkpoint.settings(savedir)
    assert found.keys().isdisjoint({"way", "seed"}) and found["second_order"] == "first"


@pytest.mark.parametrize("word", ["Resumes", "Goes on"])  # the latter in logs of version 1.0.0 and before
def test_changes_of_a_resumed_run_are_read(word):
    log = f"way: 5\nn_train_iters: 20\n\n\n{word} from iteration 21: n_train_iters 20 -> 40, eval_freq 5 -> 7\n"
    assert tf1_checkpoint.header(log) == {"way": "5", "n_train_iters": "40", "eval_freq": "7"}


def test_what_the_tf1_program_wrote_is_kept_once(tmp_path):
    log, ours = tmp_path / "meta_test.log", tmp_path / "meta_test.json"
    log.write_text("theirs")
    tf1_checkpoint.keep_theirs(log, ours)
    log.write_text("ours")
    ours.write_text("{}")
    tf1_checkpoint.keep_theirs(log, ours)
    ours.unlink()  # whoever deletes the one may keep the other
    tf1_checkpoint.keep_theirs(log, ours)
    assert (tmp_path / "meta_test.tf1.log").read_text() == "theirs" and log.read_text() == "ours"


def test_checkpoint_that_is_no_bundle(tmp_path):
    (tmp_path / "model.index").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="not a readable TensorFlow checkpoint"):
        tf1_checkpoint.read(tmp_path)
