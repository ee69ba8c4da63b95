"""plot.py: what it draws from a savedir, and what it says is missing."""

import logging
import os
import pickle

import numpy as np
import pytest
from PIL import Image

from tests.helpers.pickles import Call
from tests.helpers.pictures import assert_shows, colours_shown, pixels, recorded_figures
from tf_metadrop import Config, backbones, export_features, meta_train
from tf_metadrop.cli import plot
from tf_metadrop.figures import curves, style
from tf_metadrop.figures.noise_maps import SIDE
from tf_metadrop.modes import noise_maps
from tf_metadrop.util import safe_pickle

TRAIN = dict(
    dataset="strokes", way=3, query=2, metabatch=1, n_steps=1, second_order="first", n_train_iters=2, n_eval_batches=1,
    blocks=2, log_freq=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def savedir(tmp_path_factory):
    """A run that was trained and exported."""
    folder = tmp_path_factory.mktemp("runs") / "ours"
    meta_train(Config(savedir=str(folder), wandb="disabled", **TRAIN))
    export_features(Config(savedir=str(folder), mode="export"), {"savedir", "mode"})
    return folder


def test_nothing_in_a_pickle_runs(tmp_path, capsys):
    marker = tmp_path / "ran"
    (tmp_path / "export.pkl").write_bytes(pickle.dumps([{"htr": Call(os.mkdir, str(marker))}]))
    assert plot.main(["plot.py", f"--savedir={tmp_path}"]) == 2
    assert "which no array needs" in capsys.readouterr().err and not marker.exists()
    with pytest.raises(ValueError, match="posix.mkdir"):
        safe_pickle.load(tmp_path / "export.pkl")


@pytest.mark.slow
def test_plot_draws_everything_a_savedir_has(savedir, capsys, monkeypatch):
    figures = recorded_figures(monkeypatch)
    assert plot.main(["plot.py", f"--savedir={savedir}"]) == 0
    assert f"20 figures and 10 rows to {savedir / 'plot'}" in capsys.readouterr().out
    for name in ("step0/0.png", "step1/9.png", "steps/4.png"):
        assert_shows(savedir / "plot" / name, style.CLASSES)
    assert_shows(savedir / "plot" / "step0" / "0.png", style.CLASSES, (850, 850))
    assert_shows(savedir / "plot" / "curves.png", [style.VERMILLION])
    assert_shows(savedir / "plot" / "cost.png", [style.SKY])
    logged = curves.load(savedir)
    loss, _, accuracy, over_time = figures["curves.png"].axes
    for axes, name, factor in ((loss, "cent", 1), (accuracy, "acc", 100)):
        assert [len(line.get_xdata()) for line in axes.lines] == [3, 2]  # of training and of test classes
        np.testing.assert_allclose(axes.lines[0].get_xdata(), [0, 1, 2])
        np.testing.assert_allclose(axes.lines[0].get_ydata(), factor * np.array(logged["meta_train"][name]))
    assert over_time.get_xlabel() == "Time (minutes)"
    (bar,) = figures["cost.png"].axes[0].patches
    assert bar.get_width() == pytest.approx(curves.seconds_per_iteration(logged))


def test_a_log_without_numbers_is_left_out_unless_it_was_asked_for(savedir, tmp_path, capsys):
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "meta_train.log").write_text("metabatch: 2\n\n\nIter 0 start\n")
    both = ["plot.py", f"--savedir={tmp_path / 'killed'}", f"--savedir={savedir}", f"--out={tmp_path / 'out'}"]
    assert plot.main(both) == 0
    assert capsys.readouterr().err.count("left out: ") == 1
    every = {look.colour for look in style.METHODS.values()} - {style.BLACK}
    assert colours_shown(tmp_path / "out" / "curves.png", every) == {style.VERMILLION}  # one run's
    assert plot.main([*both, "--figure=curves"]) == 2
    assert "killed/meta_train.log has no line of losses" in capsys.readouterr().err
    assert plot.main(both[:2]) == 2
    assert "killed has nothing to draw yet: train further" in capsys.readouterr().err


def test_noise_figures_are_of_the_runs_own_data(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(noise_maps, "draw", lambda config, given: seen.append((config.data_dir, given)) or [])
    for more in ([], ["--data_dir=elsewhere"]):
        assert plot.main(["plot.py", f"--savedir={tmp_path}", "--figure=noise", *more]) == 0
    assert seen == [("data", {"seed", "savedir"}), ("elsewhere", {"seed", "savedir", "data_dir"})]


@pytest.mark.slow
def test_noise_figures(savedir, caplog):
    level = logging.getLogger("tensorflow").level
    images, maps = noise_maps.sampled_maps(Config(savedir=str(savedir), mode="export"), {"savedir"})
    assert (
        images.shape == (3, 28, 28, 1) and maps[1].shape == (30, 3, 28, 28, 8) and maps[2].shape == (30, 3, 14, 14, 8)
    )
    assert (maps[1].std(0).mean((0, 1, 2)) > 0).all()
    assert plot.main(["plot.py", f"--savedir={savedir}", "--figure=noise"]) == 0
    assert not [record for record in caplog.records if "retracing" in record.getMessage()]
    assert logging.getLogger("tensorflow").level == level  # a notebook keeps its other warnings
    with Image.open(savedir / "plot" / "noise" / "layer1.gif") as moving:
        assert moving.n_frames == 30 and moving.size == (9 * SIDE, 3 * SIDE)
        frames = []
        for number in (0, 7):
            moving.seek(number)
            frames.append(np.asarray(moving.convert("L")))
    (first, *maps), (second, *later) = [np.hsplit(frame.astype(int), 9) for frame in frames]
    assert np.abs(first - second).max() < 16  # the images stay; a GIF has few shades
    assert all(np.ptp(shown) > 50 for shown in (first, *maps))
    assert all(np.abs(one - other).max() > 16 for one, other in zip(maps, later, strict=True))
    for layer in (1, 2):
        sheet = pixels(savedir / "plot" / "noise" / f"layer{layer}.png")
        assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 200 and 0.05 < np.mean(sheet == 255) < 0.95


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--savedir is missing"),
        (["--savedir=nowhere"], "--savedir=nowhere is not a folder"),
        (["--savedir=."], "has none of export.pkl, meta_train.log, attack.json"),
        (["--savedir=.", "--figure=curves"], "meta_train.log is not there"),
        (["--savedir=.", "--figure=robustness"], "was not attacked"),
        (["--savedir=.", "--figure=boundary"], "export.pkl is not there"),
    ],
)
def test_plot_says_what_is_missing(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert plot.main(["plot.py", *arguments]) == 2
    assert sentence in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_network_without_maps_has_no_figures_of_noise(tmp_path, capsys):
    keras = pytest.importorskip("keras")
    x = keras.Input((28, 28, 1))
    h = keras.layers.Flatten()(x)
    for _ in range(2):
        h = keras.layers.Dense(8, activation="relu")(h)
    backbones.register("flat", backbones.from_keras(keras.Model(x, keras.layers.Dense(2)(h))))
    try:
        small = dict(way=2, query=2, metabatch=1, n_steps=1, n_train_iters=0, n_eval_batches=1, wandb="disabled")
        meta_train(Config(dataset="strokes", backbone="flat", savedir=str(tmp_path / "run"), **small))
        assert plot.main(["plot.py", f"--savedir={tmp_path / 'run'}", "--figure=noise"]) == 2
        assert "has a network without a layer of maps, so there is nothing to draw" in capsys.readouterr().err
    finally:
        backbones.unregister("flat")
