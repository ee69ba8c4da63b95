"""Runs of main.py as a user types them: train, kill, resume, meta-test, export."""

import json
import pathlib
import pickle
import re
import shutil
import signal

import numpy as np
import pytest

from tests.helpers.runs import SMALL, arrays, assert_equal_arrays, assert_equal_runs, call, run, start


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    savedir = tmp_path_factory.mktemp("run") / "whole"
    out = run(*SMALL, f"--savedir={savedir}")
    assert "second_order exact, episodes independent" in out
    return savedir


def test_log_has_the_format_of_the_tf1_program(trained):
    text = (trained / "meta_train.log").read_text()
    header, blank, rest = text.partition("\n\n")
    assert header.startswith("gpu_id: 0\nmode: meta_train\nsavedir: ") and "\nmaml: False\n" in header and blank
    assert {"second_order: exact", "episodes: independent"} <= set(header.splitlines())
    number = r"\d+\.\d{6}"
    line = rf"episode \d+, \(\d+\.\d{{3}} secs\), cent {number}, acc {number}\n"
    for iteration in range(0, 13, 3):
        assert re.search(rf"\nIter {iteration} start, learning rate 0.001000\nmeta_train: {line}", rest), iteration
    assert re.findall(r"meta_test : episode (\d+)", rest) == ["0", "10", "20", "24"]  # the last at the end


def test_metrics_are_means_under_the_names_of_the_report(trained):
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    train = [line for line in lines if "cent" in line]
    test = [line for line in lines if "test_cent" in line]
    assert [line["iter"] for line in train] == [0, 3, 6, 9, 12] and [line["iter"] for line in test] == [0, 5, 10, 12]
    assert set(train[0]) == {"iter", "episode", "learning_rate", "cent", "acc"}
    assert set(test[0]) == {"iter", "episode", "test_cent", "test_acc"}
    assert all(0 <= line["acc"] <= 1 and line["cent"] < 3 and line["episode"] == 2 * line["iter"] for line in train)


@pytest.mark.slow
def test_killed_run_ends_bit_equal(trained, tmp_path):
    savedir = tmp_path / "killed"
    process = start(*SMALL, f"--savedir={savedir}")
    while "Iter 9 " not in process.stdout.readline():  # the checkpoint of iteration 8 is there, more has been logged
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert arrays(savedir)["iteration"] < 13
    assert "resuming at iteration 9" in run(*SMALL, f"--savedir={savedir}")
    assert_equal_runs(savedir, trained)


@pytest.mark.slow
def test_no_operation_of_a_training_is_without_a_deterministic_form(trained, tmp_path):
    """That two runs are then bit-equal shows nothing here: on a CPU they are anyway."""
    run(*SMALL, "--deterministic", "--n_train_iters=1", f"--savedir={tmp_path / 'run'}")
    run("--mode=meta_test", "--deterministic", f"--savedir={trained}", "--n_test_iters=2", "--metabatch=2")


def test_run_killed_within_its_first_checkpoint_starts_again(trained, tmp_path, capsys):
    savedir = pathlib.Path(shutil.copytree(trained, tmp_path / "first"))
    for name in ("state.npz", "state.previous.npz", "run.json"):  # the TF1 copy is written before them
        (savedir / name).unlink()
    log = savedir / "meta_train.log"
    log.write_text(log.read_text().split("\nIter 3 ")[0].replace(str(trained), str(savedir)))
    call(*SMALL, f"--savedir={savedir}")
    assert "starting" in capsys.readouterr().out
    assert_equal_arrays(arrays(savedir), arrays(trained))
    assert (savedir / "metrics.jsonl").read_bytes() == (trained / "metrics.jsonl").read_bytes()


def test_finished_run_is_left_alone(trained, capsys):
    before = (trained / "state.npz").read_bytes()
    call(*SMALL, f"--savedir={trained}")
    assert "nothing to train" in capsys.readouterr().out
    assert (trained / "state.npz").read_bytes() == before


def test_meta_test_takes_the_task_from_the_run_and_does_not_depend_on_the_batching(trained, capsys):
    results = []
    for metabatch in (1, 3):
        call("--mode=meta_test", f"--savedir={trained}", f"--metabatch={metabatch}", "--n_test_iters=6", "--query=4")
        assert re.search(r"accuracy : \d+\.\d{6} \+- \d+\.\d{6}\n", capsys.readouterr().out)
        results.append(json.loads((trained / "meta_test.json").read_text()))
    first, second = results
    assert first["accuracy"] == pytest.approx(second["accuracy"]) and first["cent"] == pytest.approx(second["cent"])
    assert first["episodes"] == 6 and first["seed"] == 0 and first["config"]["way"] == 2
    assert first["config"]["query"] == 4 and first["trained_with"]["query"] == 1
    text = (trained / "meta_test.log").read_text()
    assert text == f"accuracy : {second['accuracy']:f} +- {second['interval']:f}"


def test_export_has_the_arrays_of_the_tf1_program(trained):
    call("--mode=export", f"--savedir={trained}", "--n_test_mc_samp=2", "--shot=2", "--query=3", "--n_steps=2")
    data = (trained / "export.pkl").read_bytes()
    assert b"numpy._core" not in data and data[:2] == b"\x80\x02"
    exported = pickle.loads(data)
    shapes = {
        "htr": (3, 4, 64), "hte": (3, 6, 64), "w": (3, 64, 2), "b": (3, 2), "htr_sample": (3, 10, 4, 64), "ytr": (4,),
        "yte": (6,),
    }  # fmt: skip
    assert len(exported) == 10
    for task in exported:
        assert {name: value.shape for name, value in task.items()} == shapes
        assert task["ytr"].tolist() == [0, 0, 1, 1] and task["ytr"].dtype == np.int64
        assert task["htr"].dtype == np.float32 and np.ptp(task["htr_sample"], axis=1).max() > 0


def test_maml_run_has_no_noise_but_phi(tmp_path):
    savedir = tmp_path / "maml"
    call(*SMALL, "--maml", f"--savedir={savedir}", "--n_train_iters=1", "--eval_freq=100")
    saved = arrays(savedir)
    assert not any(name.startswith("m/phi") for name in saved) and "params/phi/conb1_b" in saved
    call("--mode=export", f"--savedir={savedir}")
    assert "htr_sample" not in pickle.loads((savedir / "export.pkl").read_bytes())[0]


@pytest.mark.slow
def test_runs_are_made_by_the_seed(trained, tmp_path):
    again, other = tmp_path / "again", tmp_path / "other"
    call(*SMALL, f"--savedir={again}")
    call(*SMALL, f"--savedir={other}", "--seed=1", "--n_train_iters=0")
    metrics = lambda savedir: (savedir / "metrics.jsonl").read_text()
    assert metrics(again) == metrics(trained) and metrics(other).splitlines()[0] not in metrics(trained)
