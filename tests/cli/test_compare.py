"""metadrop compare: two runs side by side."""

import json
import shutil

import pytest

from tests.helpers.pictures import assert_shows
from tf_metadrop import Config, MetaLearner, meta_train
from tf_metadrop.cli import compare as compare_program
from tf_metadrop.figures import style
from tf_metadrop.runs import checkpoint

TRAIN = dict(
    dataset="strokes", way=3, query=2, metabatch=1, n_steps=1, second_order="first", n_train_iters=2, n_eval_batches=1,
    blocks=2, log_freq=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def savedir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "ours"
    meta_train(Config(savedir=str(folder), wandb="disabled", **TRAIN))
    return folder


@pytest.mark.slow
def test_a_run_compared_with_itself_and_with_another(savedir, tmp_path, capsys):
    same, other = tmp_path / "same", tmp_path / "other"
    shutil.copytree(savedir, same)
    meta_train(Config(savedir=str(other), wandb="disabled", seed=1, **TRAIN))
    test = ["--n_test_iters=3", "--metabatch=1", "--n_test_mc_samp=2", f"--out={tmp_path / 'out'}"]
    assert compare_program.main(["metadrop compare", f"--tf1_savedir={same}", f"--savedir={savedir}", *test]) == 0
    assert "verdict: same and ours give the same logits." in capsys.readouterr().out
    assert compare_program.main(["metadrop compare", f"--tf1_savedir={other}", f"--savedir={savedir}", *test]) == 0
    assert "verdict: " in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert found["test"]["difference"]["tasks"] == 3 and found["test"]["difference"]["logits"] > 0
    row = next(row for row in found["weights"] if row["parameter"] == "theta/conv1_w")
    assert 0 < row["distance"] <= row["first"] + row["second"]
    assert_shows(tmp_path / "out" / "curves.png", [style.VERMILLION, style.shade("metadrop", 1)])  # one each


@pytest.mark.slow
def test_the_best_weights_of_both_are_compared(tmp_path, capsys):
    best, config = (
        tmp_path / "best",
        Config(savedir=str(tmp_path / "best"), wandb="disabled", eval_split="val", **TRAIN),
    )
    meta_train(config)
    first = checkpoint.read(best / checkpoint.BEST)
    checkpoint.save_best(best, first._replace(state=first.state._replace(params=MetaLearner(config).params)))
    shutil.copytree(best, tmp_path / "same")
    both = [f"--tf1_savedir={tmp_path / 'same'}", f"--savedir={best}", "--n_test_iters=3", "--metabatch=1"]
    for weights in "best", "last":
        assert compare_program.main(["metadrop compare", *both, f"--weights={weights}"]) == 0
        assert "verdict: same and best give the same logits." in capsys.readouterr().out
    found = [json.loads((best / "plot" / "comparison.json").read_text())["weights"]]
    assert compare_program.main(["metadrop compare", *both, "--weights=best", "--inner_lr=0.7"]) == 0
    found.append(json.loads((best / "plot" / "comparison.json").read_text())["weights"])
    assert found[0] != found[1]
    assert "same was trained with --inner_lr=" in capsys.readouterr().out


def test_runs_of_other_methods_are_not_compared(savedir, tmp_path, capsys):
    other = tmp_path / "maml"
    meta_train(Config(savedir=str(other), wandb="disabled", maml=True, **TRAIN))
    assert compare_program.main(["metadrop compare", f"--tf1_savedir={other}", f"--savedir={savedir}"]) == 2
    assert "give two runs that agree in this" in capsys.readouterr().err
