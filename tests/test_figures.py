"""plot.py, compare_tf1.py and what they draw from."""

import json
import os
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from tf_metadrop import Config, UsageError, export_features, meta_train
from tf_metadrop.cli import compare as compare_program
from tf_metadrop.cli import plot
from tf_metadrop.figures import boundary, curves, noise_maps
from tf_metadrop.modes import compare
from tf_metadrop.modes.export import write_pickle
from tf_metadrop.util import safe_pickle

TRAIN = dict(dataset="strokes", way=3, query=2, metabatch=1, n_steps=1, n_train_iters=2, n_eval_batches=1, log_freq=1)


@pytest.fixture(scope="module")
def savedir(tmp_path_factory):
    """A run that was trained and exported."""
    folder = tmp_path_factory.mktemp("runs") / "ours"
    meta_train(Config(savedir=str(folder), wandb="disabled", **TRAIN))
    export_features(Config(savedir=str(folder), mode="export"), {"savedir", "mode"})
    return folder


def made_task(steps=2, shot=2, query=3, features=6, samples=4, seed=0):
    """Arrays as in an export.pkl."""
    made = np.random.RandomState(seed)
    return dict(
        htr=made.randn(steps, 2 * shot, features), hte=made.randn(steps, 2 * query, features),
        htr_sample=made.randn(steps, samples, 2 * shot, features), w=made.randn(steps, features, 2),
        b=made.randn(steps, 2), ytr=np.repeat([0, 1], shot), yte=np.repeat([0, 1], query),
    )  # fmt: skip


def test_first_axis_is_the_distance_from_the_boundary():
    task = made_task()
    for step, points in enumerate(boundary.projections(task, 0)):
        for name, features in (("support", task["htr"][step]), ("query", task["hte"][step])):
            logits = features @ task["w"][step] + task["b"][step]
            w = task["w"][step][:, 1] - task["w"][step][:, 0]
            np.testing.assert_allclose(points[name][:, 0], (logits[:, 1] - logits[:, 0]) / np.linalg.norm(w), atol=1e-9)
        assert points["sampled"].shape == (16, 2) and np.isfinite(points["sampled"]).all()
        # Samples are those of the support images in turns, all samples after one another.
        normal = w / np.linalg.norm(w)
        offset = (task["b"][step][1] - task["b"][step][0]) / np.linalg.norm(w)
        np.testing.assert_allclose(points["sampled"][5, 0], task["htr_sample"][step, 1, 1] @ normal + offset, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.pop("w"), "w is not an array of numbers with 3 axes"),
        (lambda t: t.update(b=t["b"][:1]), r"b is \[1, 2\], not \[2, 2\]"),
        (lambda t: t.update(hte=t["hte"] * np.nan), "hte is not finite"),
        (lambda t: t.update(htr_sample=np.array(["a"])), "htr_sample is not an array of numbers with 4 axes"),
        (lambda t: t.update(ytr=t["ytr"] + 1), "a class is not 0 or 1"),
    ],
)
def test_broken_exports_are_refused(tmp_path, change, sentence):
    task = made_task()
    change(task)
    write_pickle(tmp_path / "export.pkl", [task])
    with pytest.raises(UsageError, match=sentence):
        boundary.load(tmp_path / "export.pkl")


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def test_nothing_in_a_pickle_runs(tmp_path, capsys):
    marker = tmp_path / "ran"
    (tmp_path / "export.pkl").write_bytes(pickle.dumps([{"htr": Evil(str(marker))}]))
    assert plot.main(["plot.py", f"--savedir={tmp_path}"]) == 2
    assert "which no array needs" in capsys.readouterr().err and not marker.exists()
    with pytest.raises(ValueError, match="posix.mkdir"):
        safe_pickle.load(tmp_path / "export.pkl")


def test_plot_draws_everything_a_savedir_has(savedir, capsys):
    assert plot.main(["plot.py", f"--savedir={savedir}"]) == 0
    assert f"20 figures and 10 rows to {savedir / 'plot'}" in capsys.readouterr().out
    for name in ("step0/0.png", "step1/9.png", "steps/4.png", "curves.png", "cost.png"):
        with Image.open(savedir / "plot" / name) as picture:
            grey = np.asarray(picture.convert("L"))
        assert grey.std() > 5, name  # not an empty page


def test_a_log_without_numbers_is_left_out_unless_it_was_asked_for(savedir, tmp_path, capsys):
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "meta_train.log").write_text("metabatch: 2\n\n\nIter 0 start\n")
    both = ["plot.py", f"--savedir={tmp_path / 'killed'}", f"--savedir={savedir}", f"--out={tmp_path / 'out'}"]
    assert plot.main(both) == 0
    assert capsys.readouterr().err.count("left out: ") == 1 and (tmp_path / "out" / "curves.png").exists()
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


def test_noise_figures(savedir):
    images, maps = noise_maps.sampled_maps(Config(savedir=str(savedir), mode="export"), {"savedir"})
    assert (
        images.shape == (3, 28, 28, 1) and maps[1].shape == (30, 3, 28, 28, 8) and maps[2].shape == (30, 3, 14, 14, 8)
    )
    assert (maps[1].std(0).mean((0, 1, 2)) > 0).all()
    assert plot.main(["plot.py", f"--savedir={savedir}", "--figure=noise"]) == 0
    with Image.open(savedir / "plot" / "noise" / "layer1.gif") as moving:
        assert moving.n_frames == 30 and moving.size == (9 * noise_maps.SIDE, 3 * noise_maps.SIDE)


def test_curves_read_the_tf1_programs_log(tmp_path):
    lines = (
        "metabatch: 2\nmaml: False\n\n\nIter 0 start, learning rate 0.001000\n"
        "meta_train: episode 0, (36.000 secs), cent 1.346111, acc 0.560000\n"
        "meta_test : episode 0, (72.000 secs), cent 1.337117, acc 0.467600\n"
        "meta_train: episode 100, (136.000 secs), cent 0.921368, acc 0.666000\n"
    )
    (tmp_path / "meta_train.log").write_text(lines)
    found = curves.load(tmp_path)
    assert found["meta_train"] == dict(
        iter=[0, 50], hours=[0.01, 136 / 3600], cent=[1.346111, 0.921368], acc=[0.56, 0.666]
    )
    assert found["meta_test"]["acc"] == [0.4676]
    assert curves.seconds_per_iteration(found) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--savedir is missing"),
        (["--savedir=nowhere"], "--savedir=nowhere is no folder"),
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


def test_a_run_compared_with_itself_and_with_another(savedir, tmp_path, capsys):
    same, other = tmp_path / "same", tmp_path / "other"
    shutil.copytree(savedir, same)
    meta_train(Config(savedir=str(other), wandb="disabled", seed=1, **TRAIN))
    test = ["--n_test_iters=3", "--metabatch=1", "--n_test_mc_samp=2", f"--out={tmp_path / 'out'}"]
    assert compare_program.main(["compare_tf1.py", f"--tf1_savedir={same}", f"--savedir={savedir}", *test]) == 0
    assert "verdict: same and ours compute the same." in capsys.readouterr().out
    assert compare_program.main(["compare_tf1.py", f"--tf1_savedir={other}", f"--savedir={savedir}", *test]) == 0
    assert "verdict: " in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert found["test"]["difference"]["tasks"] == 3 and found["test"]["difference"]["logits"] > 0
    row = next(row for row in found["weights"] if row["parameter"] == "theta/conv1_w")
    assert 0 < row["distance"] <= row["first"] + row["second"]
    assert (tmp_path / "out" / "curves.png").exists()


def test_the_distance_of_weights_in_parts_of_nothing_is_none():
    (row,) = compare.weights({"b": np.zeros(3)}, {"b": np.full(3, 2.0)})
    assert row["relative"] is None and row["distance"] == row["second"] > 3


def test_verdicts():
    difference = dict(logits=1.0, accuracy=0.5, interval=0.6, tasks=9)
    assert "no difference in accuracy is shown (+0.50 +- 0.60" in compare.verdict(difference, ("a", "b"))
    assert "b is better than a by 0.70" in compare.verdict({**difference, "accuracy": 0.7}, ("a", "b"))
    assert "a is better than b by 0.70" in compare.verdict({**difference, "accuracy": -0.7}, ("a", "b"))


def test_runs_of_other_methods_are_not_compared(savedir, tmp_path, capsys):
    other = tmp_path / "maml"
    meta_train(Config(savedir=str(other), wandb="disabled", maml=True, **TRAIN))
    assert compare_program.main(["compare_tf1.py", f"--tf1_savedir={other}", f"--savedir={savedir}"]) == 2
    assert "compare runs that are alike" in capsys.readouterr().err
