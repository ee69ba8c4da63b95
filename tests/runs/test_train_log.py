"""Logs of a training: numbers that are lost, resumed or none."""

import json

from tf_metadrop import Config
from tf_metadrop.runs import train_log


def test_logs_shorter_than_recorded_are_not_padded(tmp_path):
    config = Config(wandb="disabled", savedir=str(tmp_path))
    with train_log.TrainLog(tmp_path, config) as log:
        log.trained(0, (1.0, 0.1))
        progress = log.progress()
    (tmp_path / "metrics.jsonl").unlink()
    with train_log.TrainLog(tmp_path, config, progress):
        assert (tmp_path / "metrics.jsonl").read_bytes() == b""


def test_means_since_the_last_line_survive_a_resume(tmp_path):
    config = Config(wandb="disabled", log_freq=2, savedir=str(tmp_path), n_train_iters=4)
    with train_log.TrainLog(tmp_path, config) as log:
        log.trained(0, (1.0, 0.1))
        log.trained(1, (2.0, 0.2))
        progress = log.progress()
        log.trained(2, (9.0, 0.9))  # will be lost
    with train_log.TrainLog(tmp_path, config, progress) as log:
        log.trained(2, (4.0, 0.4))
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 2 and '"cent": 3.0' in lines[1]
    assert (tmp_path / "meta_train.log").read_text().count("Iter 2 start") == 1


def test_an_evaluation_that_is_no_number_is_null_in_the_json(tmp_path):
    with train_log.TrainLog(tmp_path, Config(wandb="disabled", savedir=str(tmp_path))) as log:
        log.evaluated(0, "val", {"cent": float("nan"), "accuracy": 0.5})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == dict(iter=0, episode=0, val_cent=None, val_acc=0.5)
    assert "cent nan" in (tmp_path / "meta_train.log").read_text()


def test_a_log_that_lost_lines_says_so(tmp_path, capsys):
    """As after a copy that was made while the training went on."""
    config = Config(wandb="disabled", savedir=str(tmp_path), log_freq=1)
    with train_log.TrainLog(tmp_path, config) as log:
        log.trained(0, (1.0, 0.1))
        progress = log.progress()
    for cut, said in ((0, False), (10, True)):
        path = tmp_path / "metrics.jsonl"
        path.write_bytes(path.read_bytes()[: progress["sizes"]["metrics.jsonl"] - cut])
        with train_log.TrainLog(tmp_path, config, progress):
            assert ("metrics.jsonl is shorter than at the checkpoint" in capsys.readouterr().err) is said
