"""Training curves, read from logs."""

import pytest

from tf_metadrop.figures import curves


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
