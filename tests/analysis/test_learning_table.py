"""The table of how fast runs learn."""

import numpy as np

from tests.helpers.savedirs import LOG, finished
from tf_metadrop.analysis import learning_table
from tf_metadrop.runs.finished import find


def test_the_level_is_that_of_the_exact_and_the_tf1_gradient(tmp_path):
    for gradient, best in ("exact", 0.83), ("tf1", 0.805), ("first", 0.795):
        finished(tmp_path / gradient, np.full(4, 0.75), second_order=gradient)
        (tmp_path / gradient / "meta_train.log").write_text(LOG.rsplit("acc ", 1)[0] + f"acc {best}\n")
    found = {row["gradient"]: row for row in learning_table.rows(find([tmp_path]))}
    assert {row["level"] for row in found.values()} == {80}
    assert [found[g]["iterations"] for g in ("exact", "tf1", "first")] == [100, 100, "not"]
    for accuracy, level in ((0.29, 29), (0.57, 57), (0.5799, 57)):
        (tmp_path / "first" / "meta_train.log").write_text(
            LOG.rsplit("acc ", 1)[0].replace("acc 0.7", "acc 0.1") + f"acc {accuracy}\n"
        )
        assert learning_table.rows(find([tmp_path / "first"]))[0]["level"] == level
    (tmp_path / "first" / "meta_train.log").write_text(LOG.rsplit("acc ", 1)[0] + "acc 0.795\n")
    (alone,) = learning_table.rows(find([tmp_path / "first"]))
    assert (alone["level"], alone["iterations"]) == (79, 100)
    finished(tmp_path / "other images", np.full(4, 0.75), data_dir="other")  # no repetition of the others
    (tmp_path / "other images" / "meta_train.log").write_text(LOG.rsplit("\nIter", 1)[0])  # its best is 75 %
    levels = {row["run"].rsplit("/")[-1]: row["level"] for row in learning_table.rows(find([tmp_path]))}
    assert levels == {"exact": 80, "tf1": 80, "first": 80, "other images": 75}


def test_half_way_is_half_of_the_iterations(tmp_path):
    """A run that was resumed may have been evaluated more often later."""
    finished(tmp_path / "run", np.full(4, 0.75))
    line = "meta_val  : episode {}, ({}.5 secs), cent 0.5, acc {}\n"
    each = [(0, 0.1), (40, 0.4), (80, 0.5), (96, 0.6), (98, 0.7), (100, 0.8)]
    log = "metabatch: 1\n\n" + "".join(line.format(iteration, iteration, acc) for iteration, acc in each)
    (tmp_path / "run" / "meta_train.log").write_text(log)
    assert learning_table.rows(find([tmp_path]))[0]["half way"] == "40.00"
