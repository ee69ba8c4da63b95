"""Every method from the command line: trained, resumed, tested, exported, attacked; and the table of finished runs."""

import csv
import json
import pathlib

import numpy as np
import pytest
from absl import flags

from tf_metadrop import Config, MetaLearner
from tf_metadrop.analysis import tables
from tf_metadrop.cli import main
from tf_metadrop.config import absl_flags
from tf_metadrop.data import DATASETS
from tf_metadrop.runs import checkpoint, tf1_checkpoint
from tf_metadrop.util import safe_pickle

TASK = "--way=2 --shot=2 --query=1 --metabatch=2 --n_steps=1 --save_freq=1 --eval_freq=9 --n_eval_batches=1".split()
METHODS = [  # name, second_order, tasks, the flags that make it
    ("deterministic", "exact", "in_sequence", "--noise_type=deterministic"),
    ("fixed_gaussian", "tf1", "in_sequence", "--noise_type=fixed_gaussian"),
    ("weight_gaussian", "first", "at_once", "--noise_type=weight_gaussian"),
    ("additive_report", "exact", "in_sequence", "--noise_type=additive --noise_variant=report"),
    ("weight_gaussian_report", "tf1", "in_sequence", "--noise_type=weight_gaussian --noise_variant=report"),
    ("metasgd", "first", "at_once", "--maml --inner=metasgd"),
    ("metasgd_metadrop", "tf1", "in_sequence", "--inner=metasgd"),
    ("maml_manifold_mixup", "tf1", "at_once", "--maml --regularizer=manifold_mixup"),
    ("maml_vib", "exact", "in_sequence", "--maml --regularizer=vib"),
    ("maml_info_dropout", "first", "at_once", "--maml --regularizer=info_dropout"),
    ("metadrop_adv_inner_l1_5", "exact", "in_sequence", "--adv_train=inner --adv_norm=l1 --adv_eps=5.0 --adv_steps=1"),
    ("metadrop_adv_query_l2_1", "first", "at_once", "--adv_train=query --adv_norm=l2 --adv_eps=1.0 --adv_steps=1"),
]
RESUMED = "metasgd_metadrop", "maml_vib"


def call(*arguments):
    assert main.main(["main.py", "--wandb=disabled", *map(str, arguments)]) == 0


@pytest.mark.parametrize(("name", "second_order", "tasks", "method"), METHODS, ids=[method[0] for method in METHODS])
def test_method_in_every_mode(name, second_order, tasks, method, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    method, tasks = method.split(), f"--tasks={tasks}"
    common = ["--dataset=strokes", *TASK, *method, f"--second_order={second_order}", tasks]
    call(*common, "--n_train_iters=1")
    savedir = tmp_path / "checkpoints" / f"strokes_2way2shot_{name}"
    whole = checkpoint.load(savedir).state
    if name in RESUMED:
        check_resumed(whole, [*common, "--n_train_iters=1", "--savedir=cut"], tmp_path / "cut")
    assert set(tf1_checkpoint.read(savedir)) == set(whole.params)  # the TF1 program finds its own variables among them
    test = [f"--savedir={savedir}", "--n_test_iters=2", "--metabatch=2", "--n_test_mc_samp=2", tasks]
    call("--mode=meta_test", *test)
    result = json.loads((savedir / "meta_test.json").read_text())
    assert Config(**{**result["config"], "mode": "meta_test"}).method == name
    call("--mode=export", *test)
    call("--mode=attack", *test, "--attack_norms=linf", "--attack_radii=0,0.1", "--attack_steps=1")
    with open(savedir / "attack.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["accuracy_percent"]) == pytest.approx(result["accuracy"], abs=1e-3)
    header = (savedir / "meta_train.log").read_text()
    assert all(f"\n{flag[2:].replace('=', ': ')}\n" in header for flag in method if "=" in flag)


def test_float64_in_every_mode(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    test = "--savedir=run", "--n_test_iters=2", "--metabatch=1", "--n_test_mc_samp=2"
    call("--dataset=strokes", *TASK, "--inner_lr=0.01", "--n_train_iters=1", "--savedir=run", "--precision=float64")
    state, cents = checkpoint.load(tmp_path / "run").state, []
    assert {w.dtype.name for w in (*state.params.values(), *state.m.values())} == {"float64"}
    assert {w.dtype.name for w in tf1_checkpoint.read(tmp_path / "run").values()} == {"float32"}
    for precision in ("float32", "float64"):
        call("--mode=meta_test", *test, f"--precision={precision}")
        cents.append(json.loads((tmp_path / "run" / "meta_test.json").read_text())["cent"])
    assert cents[0] == pytest.approx(cents[1], rel=1e-4) and cents[0] != cents[1]
    call("--mode=export", *test, "--precision=float64")
    assert safe_pickle.load(tmp_path / "run" / "export.pkl")[0]["htr_sample"].dtype == "float64"
    call("--mode=attack", *test, "--precision=float64", "--attack_norms=l1", "--attack_radii=0,1", "--attack_steps=1")
    learner, images = MetaLearner.load("run", precision="float64"), np.eye(28)[None].repeat(4, 0)
    assert learner.adapt(images, [0, 0, 1, 1]).predict_proba(images).dtype == "float64"


def check_resumed(whole, arguments, savedir):
    """A run that is interrupted after its first checkpoint ends as one that is not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", stop_after_one(checkpoint.save))
        assert main.main(["main.py", "--wandb=disabled", *arguments]) == 130
    call(*arguments)
    resumed = checkpoint.load(savedir).state
    for key, value in whole.params.items():
        np.testing.assert_array_equal(resumed.params[key], value, err_msg=key)


def stop_after_one(save):
    """checkpoint.save, and then what Ctrl-C does."""

    def save_and_stop(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    return save_and_stop


@pytest.mark.parametrize(
    "method", [["--inner=metasgd", "--regularizer=info_dropout"], ["--noise_type=weight_gaussian"]]
)
def test_on_mimgnet(method, tmp_path):
    folder = tmp_path / "data" / "mimgnet"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        pixels = np.random.RandomState(0).randint(0, 256, [4, 6, *DATASETS["mimgnet"].image_shape])
        np.save(folder / f"{split}.npy", pixels.astype(np.uint8))
    run = [f"--data_dir={tmp_path / 'data'}", f"--savedir={tmp_path / 'run'}"]
    call("--dataset=mimgnet", *TASK, *run, *method, "--n_train_iters=0", "--inner_lr=0.01")
    call("--mode=meta_test", *run, "--n_test_iters=1", "--metabatch=1")


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        ("--inner=adam is not known: choose one of metasgd, sgd", ["--inner=adam"]),
        ("--regularizer=l2 is not known: choose one of info_dropout, manifold_mixup, none, vib", ["--regularizer=l2"]),
        ("--adv_train=outer is not known: choose one of inner, none, query", ["--adv_train=outer"]),
        ("--adv_norm=l3 is not known: choose one of l1, l2, linf", ["--adv_norm=l3"]),
        ("--adv_eps=-1.0 is not a number of at least 0", ["--adv_eps=-1"]),
        ("--vib_beta=nan is not a number of at least 0", ["--vib_beta=nan"]),
        ("--mixup_alpha=0.0 is not a number above 0", ["--mixup_alpha=0"]),
        ("--noise_variant=theirs is not known: choose one of ours, report", ["--noise_variant=theirs"]),
        ("=report has no --noise_type=deterministic", ["--noise_variant=report", "--noise_type=deterministic"]),
        ("--n_steps=8192 is too large: give less than 8192", ["--n_steps=8192"]),
    ],
)  # fmt: skip
def test_flags_that_cannot_be(pattern, wrong, capsys):
    assert main.main(["main.py", *wrong]) == 2
    assert pattern in capsys.readouterr().err


def test_a_run_goes_on_with_its_own_method_only(tmp_path, capsys):
    run = ["--dataset=strokes", *TASK, f"--savedir={tmp_path / 'run'}", "--n_train_iters=0"]
    call(*run, "--maml")
    for other, pattern in (
        (["--maml", "--inner=metasgd"], "run with --inner=sgd, not --inner=metasgd"),
        (["--maml", "--regularizer=vib"], "run with --regularizer=none, not --regularizer=vib"),
    ):
        assert main.main(["main.py", "--wandb=disabled", *run, *other]) == 2
        assert pattern in capsys.readouterr().err
    assert main.main(["main.py", "--mode=meta_test", f"--savedir={tmp_path / 'run'}", "--inner=metasgd"]) == 2
    assert "was trained with --inner=sgd: give the same here, or leave it out" in capsys.readouterr().err


def finished(folder, accuracy, attack=True, **settings):
    """A savedir as meta_test and attack leave it."""
    made = Config(dataset="omniglot", way=20, savedir=str(folder), **settings).as_dict()
    folder.mkdir(parents=True)
    about = dict(config=made, trained_with=made, seed=0)
    result = dict(accuracy=accuracy, interval=0.123, episodes=1000, **about)
    (folder / "meta_test.json").write_text(json.dumps(result))
    rows = [
        dict(norm=norm, epsilon=eps, accuracy_percent=90 - 10 * i, ci95=0.5, tasks=100, steps=50, restarts=1)
        for norm, radii in (("l2", (0.0, 1.0)), ("linf", (0.0, 0.02))) for i, eps in enumerate(radii)
    ]  # fmt: skip
    if attack:
        (folder / "attack.json").write_text(json.dumps({"rows": rows, **about}))


def test_table_sets_runs_beside_the_published_numbers(tmp_path, capsys):
    finished(tmp_path / "runs" / "a", 96.5, second_order="tf1", seed=3)
    finished(tmp_path / "runs" / "b", 95.25, maml=True)
    finished(tmp_path / "runs" / "c", 94.0, attack=False, noise_type="fixed_gaussian", noise_variant="report")
    assert tables.main([str(tmp_path / "runs"), f"--output={tmp_path / 'out'}"]) == 0
    printed = capsys.readouterr().out
    page = (tmp_path / "out" / "tables.md").read_text()
    assert page.startswith(printed.strip()) and page.count("](robustness_omniglot_20way1shot.png)") == 1
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if line.startswith("|")]
    metadrop = next(row for row in cells if row[:2] == ["omniglot 20-way 1-shot", "metadrop"])
    assert metadrop[2:5] == ["96.63 ± 0.13", "96.24 ± 0.14", "95.75 ± 0.15; 96.74 (noise table)"]
    assert metadrop[5:11] == ["96.50 ± 0.12", "tf1", "0.1", "3", "60000", "1000"]
    report = next(row for row in cells if row[1] == "fixed_gaussian_report")
    assert report[2:6] == ["95.44", "", "96.41", "94.00 ± 0.12"]
    assert ["mimgnet 5-way 5-shot", "maml", "64.55 ± 0.52", "65.70 ± 0.52", "64.51 ± 0.52"] in [r[:5] for r in cells]
    with open(tmp_path / "out" / "robustness.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    one = next(row for row in rows if (row["method"], row["norm"], row["radius"]) == ("maml", "linf", "0.02"))
    assert float(one["paper"]) > 50 and one["ours"] == "80.00 ± 0.50" and len(rows) == 8
    assert (tmp_path / "out" / "robustness_omniglot_20way1shot.png").stat().st_size > 20_000
    assert len((tmp_path / "out" / "accuracy.csv").read_text().splitlines()) >= 15


@pytest.mark.parametrize(
    ("pattern", "content"),
    [("holds no meta_test.json", None), ("is not what --mode=meta_test writes", "{"), ("is not what", '{"config": 3}')],
)
def test_table_of_nothing(pattern, content, tmp_path, capsys):
    if content:
        (tmp_path / "meta_test.json").write_text(content)
    assert tables.main([str(tmp_path)]) == 2
    assert pattern in capsys.readouterr().err
    assert tables.main([str(tmp_path / "nowhere")]) == 2
    assert "nowhere is no folder" in capsys.readouterr().err


def test_flag_files_are_of_this_program():
    """Every one parses, and none trains into another's savedir; those of reproduce.py get theirs from it."""
    root, savedirs = pathlib.Path(main.__file__).parent / "flags", set()
    files = sorted(root.rglob("*.flags"))
    assert len(files) >= 65
    for path in files:
        values = flags.FlagValues()
        absl_flags.define_flags(values)
        values(["main.py", f"--flagfile={path}"])
        settings = absl_flags.from_flags(values)
        text = path.read_text()
        assert text.startswith("# ") and "# Cost: " in text and "# Published" in text, path
        if settings.savedir:
            assert settings.savedir == f"checkpoints/{path.relative_to(root).with_suffix('')}"
            assert str(path.relative_to(root.parent)) in text
            savedirs.add(settings.savedir)
    assert len(savedirs) == len([path for path in files if path.parent not in (root, root / "results")])
