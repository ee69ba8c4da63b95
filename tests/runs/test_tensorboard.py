"""Event files for TensorBoard."""

import json
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from tf_metadrop import Config, attack_model, meta_test, meta_train
from tf_metadrop.cli import plot
from tf_metadrop.runs import tensorboard

RUN = dict(
    dataset="strokes", way=2, shot=1, query=2, metabatch=1, n_steps=1, maml=True, wandb="disabled", n_eval_batches=1,
    blocks=2, n_train_iters=4, eval_freq=2, log_freq=2,
)  # fmt: skip


def events(folder):
    """{tag: [(step, value)]} of all event files there; value is the tensor."""
    found = {}
    for path in sorted(folder.rglob("*tfevents*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, tf.make_ndarray(value.tensor)))
    return found


@pytest.mark.slow
def test_a_run_is_in_tensorboard_whole(tmp_path, capsys):
    """Training, test, attack and figures."""
    config = Config(savedir=str(tmp_path), tensorboard=True, **RUN)
    meta_train(config)
    found = events(tmp_path / "tensorboard" / "meta_train")
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    for name in ("cent", "acc", "test_cent", "test_acc", "learning_rate"):
        wanted = [(line["iter"], line[name]) for line in lines if name in line]
        assert len(wanted) >= 2 and [step for step, _ in found[name]] == [step for step, _ in wanted]
        np.testing.assert_allclose([value for _, value in found[name]], [value for _, value in wanted], rtol=1e-6)
    text = found["settings"][0][1][0].decode()
    assert "| inner_lr | 0.1 |" in text and "| maml | True |" in text
    result = meta_test(Config(savedir=str(tmp_path), tensorboard=True, n_test_iters=2, metabatch=1, wandb="disabled"))
    found = events(tmp_path / "tensorboard" / "meta_test")
    assert found["meta-test-acc"][0][1] == pytest.approx(result["accuracy"], rel=1e-6) and "meta-test" in found
    attack = dict(n_test_iters=1, metabatch=1, attack_norms="linf", attack_radii="0,0.1", attack_steps=1)
    attack_model(Config(savedir=str(tmp_path), tensorboard=True, wandb="disabled", **attack))
    found = events(tmp_path / "tensorboard" / "attack")
    assert "attack-linf-0.1-acc" in found and found["figures/attack"][0][1][2].startswith(b"\x89PNG")
    assert plot.main(["plot.py", f"--savedir={tmp_path}", "--figure=curves"]) == 0
    assert "figures/plot/curves.png" in events(tmp_path / "tensorboard" / "plot")
    assert not capsys.readouterr().err.count("TensorBoard")


def test_it_is_off_by_default(tmp_path):
    meta_train(Config(savedir=str(tmp_path), **RUN | dict(n_train_iters=0)))
    assert not (tmp_path / "tensorboard").exists()


def test_a_moving_picture_is_kept_as_it_is(tmp_path):
    from PIL import Image

    frames = [Image.new("RGB", (4, 4), (shade, 0, 0)) for shade in (0, 100, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    board = tensorboard.TensorBoard(tmp_path, Config(savedir=str(tmp_path)), "plot")
    board.figures({"moving": tmp_path / "a.gif"})
    board.finish()
    (width, height, content) = events(tmp_path)["moving"][0][1]
    assert (width, height) == (b"4", b"4") and content == (tmp_path / "a.gif").read_bytes()


def test_settings_are_hyper_parameters_where_tensorboard_is_installed(tmp_path, monkeypatch):
    given = []
    api = types.SimpleNamespace(hparams=lambda values, trial_id: given.append((values, trial_id)))
    for name in ("tensorboard", "tensorboard.plugins", "tensorboard.plugins.hparams"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["tensorboard.plugins.hparams"].api = api
    tensorboard.TensorBoard(tmp_path / "run", Config(savedir=str(tmp_path / "run")), "meta_train").finish()
    (values, trial) = given[0]
    assert trial == "run" and values["inner_lr"] == 0.1 and values["eval_normalization"] == "None"


def test_a_run_goes_on_where_the_files_cannot_be_written(tmp_path, capsys):
    (tmp_path / "tensorboard").write_text("in the way")
    meta_train(Config(savedir=str(tmp_path), tensorboard=True, **RUN | dict(n_train_iters=1)))
    assert capsys.readouterr().err.count("TensorBoard's files cannot be written") == 1
    assert (tmp_path / "state.npz").exists()
