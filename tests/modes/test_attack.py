"""--mode=attack."""

import csv
import json

import numpy as np
import pytest

from tests.helpers.pictures import assert_shows, curves_of, recorded_figures
from tests.runs.test_tensorboard import events
from tf_metadrop.cli import main
from tf_metadrop.figures import layout, style
from tf_metadrop.methods import attack

SMALL = (
    "--dataset=strokes --way=2 --shot=1 --query=2 --metabatch=2 --n_steps=1 --blocks=2 --n_train_iters=1 --save_freq=1 "
    "--eval_freq=5 --n_eval_batches=1 --second_order=first --wandb=disabled"
).split()
ATTACK = "--mode=attack --n_test_iters=4 --attack_steps=2 --wandb=disabled".split()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    savedir = tmp_path_factory.mktemp("attacked") / "run"
    assert main.main(["main.py", *SMALL, f"--savedir={savedir}"]) == 0
    return savedir


@pytest.mark.slow
def test_mode_attack(trained, capsys, monkeypatch):
    figures = recorded_figures(monkeypatch)
    assert main.main(["main.py", *ATTACK, f"--savedir={trained}", "--metabatch=2", "--attack_restarts=2"]) == 0
    out = capsys.readouterr().out
    with open(trained / "attack.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["norm"] for row in rows] == ["l1"] * 6 + ["l2"] * 6 + ["linf"] * 6
    assert [float(row["epsilon"]) for row in rows[12:]] == [0, 0.02, 0.04, 0.06, 0.08, 0.1]
    assert {row["tasks"] for row in rows} == {"4"} and {row["restarts"] for row in rows} == {"2"}
    kept = json.loads((trained / "attack.json").read_text())
    assert len(kept["rows"]) == 18
    assert "linf  0.1    accuracy : " in out
    check_figure(trained / "attack.png", figures["attack.png"], kept["rows"])
    assert main.main(["main.py", "--mode=meta_test", *ATTACK[1:2], "--metabatch=2", f"--savedir={trained}"]) == 0
    clean = json.loads((trained / "meta_test.json").read_text())["accuracy"]
    for row in kept["rows"]:
        assert row["epsilon"] > 0 or row["accuracy_percent"] == pytest.approx(clean, abs=1e-4)  # see below


def check_figure(path, figure, rows):
    """A panel for each norm with the accuracy at every radius, and the picture of it."""
    norms = {"l1": "L1", "l2": "L2", "linf": "L∞"}
    assert [axes.get_title() for axes in figure.axes] == [f"{name} attack, 2 steps" for name in norms.values()]
    for (norm, name), axes in zip(norms.items(), figure.axes, strict=True):
        ((label, points),) = curves_of(axes).items()
        expected = [(row["epsilon"], row["accuracy_percent"]) for row in rows if row["norm"] == norm]
        assert label == "Meta-dropout (blocks 2)" and len(expected) == 6
        assert axes.get_xlabel() == f"Radius of the attack ({name})"
        np.testing.assert_allclose(points, expected)
    assert_shows(path, [style.VERMILLION], tuple(int(layout.DOTS * inches) for inches in figure.get_size_inches()))


def accuracies(savedir, *arguments):
    """Of the rows of an attack under Linf with 18 query images a class."""
    command = "main.py", *ATTACK, f"--savedir={savedir}", "--attack_norms=linf", "--query=18", *arguments
    assert main.main(command) == 0
    return [row["accuracy_percent"] for row in json.loads((savedir / "attack.json").read_text())["rows"]]


@pytest.mark.slow
def test_attack_is_the_same_however_tasks_and_radii_run(trained):
    paths = ["--metabatch=1"], ["--metabatch=4"], ["--metabatch=4", "--tasks=at_once"]
    found = [accuracies(trained, "--attack_radii=0,0.3", *path) for path in paths]
    assert found[0] == found[1] == found[2] and len(set(found[0])) == 2


@pytest.mark.slow
def test_the_variant_is_in_what_is_written(trained, monkeypatch):
    figures, paths = recorded_figures(monkeypatch), ([], ["--tasks=at_once"])
    more = "--metabatch=4", "--attack_radii=0,0.3", "--attack_variant=gradient"
    found = [accuracies(trained, *more, *path) for path in paths]
    assert found[0] == found[1]
    kept = json.loads((trained / "attack.json").read_text())
    assert {row["variant"] for row in kept["rows"]} == {"gradient"} and kept["config"]["attack_variant"] == "gradient"
    assert [axes.get_title() for axes in figures["attack.png"].axes] == ["L∞, 2 steps, gradient"]
    with open(trained / "attack.csv", newline="") as file:
        assert {row["variant"] for row in csv.DictReader(file)} == {"gradient"}


@pytest.mark.slow
def test_no_restart_is_a_start_at_the_image_itself(trained, monkeypatch):
    def refused(*_):
        raise AssertionError("a random start")

    monkeypatch.setattr(attack.load("linf"), "start", refused)
    found = accuracies(trained, "--metabatch=4", "--attack_radii=0,0.3", "--attack_restarts=0")
    assert found[1] < found[0]
    with pytest.raises(AssertionError, match="a random start"):
        accuracies(trained, "--metabatch=4", "--attack_radii=0,0.3")


@pytest.mark.slow
def test_an_image_must_withstand_every_start_and_is_of_a_meta_test_s_tasks(trained):
    arguments = "--metabatch=2", "--attack_radii=0,0.1,0.3", "--attack_steps=1"
    one, three = [accuracies(trained, *arguments, f"--attack_restarts={n}") for n in (1, 3)]
    assert one[0] == three[0] and all(b <= a for a, b in zip(one, three, strict=True)) and three[1:] != one[1:]
    clean = []
    for seed in (0, 1):
        test = "--mode=meta_test", ATTACK[1], "--metabatch=2", "--query=18", f"--savedir={trained}", f"--seed={seed}"
        assert main.main(["main.py", *test]) == 0
        clean.append(json.loads((trained / "meta_test.json").read_text())["accuracy"])
    assert one[0] == pytest.approx(clean[0], abs=1e-4) and clean[0] != clean[1]


@pytest.mark.parametrize(
    ("pattern", "arguments"),
    [
        ("--attack_norms=l1,l3 has 'l3', which is not a norm: choose from l1, l2, linf", ["--attack_norms=l1,l3"]),
        ("--attack_radii=0.1 is for one norm", ["--attack_radii=0.1"]),
        ("--attack_radii=a is not a list of radii", ["--attack_norms=l2", "--attack_radii=a"]),
        ("--attack_radii=-1 is not a list of radii", ["--attack_norms=l2", "--attack_radii=-1"]),
        ("--attack_steps=0 is too small", ["--attack_steps=0"]),
        (
            "--attack_restarts=2 is not for --attack_variant=gradient, which always starts at the image",
            ["--attack_variant=gradient", "--attack_restarts=2"],
        ),
        ("--n_test_iters=4 is less than one --metabatch=8", ["--metabatch=8"]),
    ],
)
def test_what_cannot_be_attacked_is_said(trained, pattern, arguments, capsys):
    before = sorted(trained.iterdir())
    assert main.main(["main.py", *ATTACK, f"--savedir={trained}", *arguments]) == 2
    assert pattern in capsys.readouterr().err and sorted(trained.iterdir()) == before


@pytest.mark.slow
def test_an_attack_on_validation_classes_has_files_of_its_own(trained):
    accuracies(trained, "--metabatch=4", "--attack_radii=0")
    before = (trained / "attack.json").read_bytes()
    arguments = [*ATTACK, f"--savedir={trained}", "--metabatch=2", "--attack_norms=l2", "--attack_radii=0"]
    assert main.main(["main.py", *arguments, "--eval_split=val"]) == 0
    assert (trained / "attack.json").read_bytes() == before
    assert main.main(["main.py", *arguments, "--eval_split=val", "--tensorboard"]) == 0
    assert {*events(trained / "tensorboard")} >= {"attack_val-l2-0-acc", "figures/attack_val"}
    assert json.loads((trained / "attack_val.json").read_text())["config"]["eval_split"] == "val"


def test_an_attack_with_other_settings_replaces_none(trained, capsys):
    """Other radii are for one norm: those of three norms are three attacks."""
    names = lambda: {path.name for path in trained.glob("attack.*")}
    for path in trained.glob("attack.*"):
        path.unlink()
    small = [*ATTACK, f"--savedir={trained}", "--metabatch=2", "--n_test_iters=2", "--attack_radii=0.1"]
    for norm in "l2", "linf", "linf":
        assert main.main(["main.py", *small, f"--attack_norms={norm}"]) == 0
    said = f"the earlier attack with other settings is kept as {trained}/attack.1.csv, .json and .png"
    assert capsys.readouterr().out.count(said) == 1
    assert names() == {f"attack{n}{suffix}" for n in ("", ".1") for suffix in (".csv", ".json", ".png")}
    assert json.loads((trained / "attack.1.json").read_text())["rows"][0]["norm"] == "l2"
    (trained / "attack.json").write_text("{")
    assert main.main(["main.py", *small, "--attack_norms=linf"]) == 0
    assert (trained / "attack.2.json").read_text() == "{"
