"""The runs behind results/: their names, flag files, tests and sizes."""

import json

from absl import flags

from tf_metadrop.config import absl_flags
from tf_metadrop.experiments import published_runs


def test_every_run_has_its_own_name_and_a_flag_file_that_says_everything(tmp_path):
    runs = [*published_runs.all_runs(), *published_runs.queue()]
    assert len({run.name for run in runs}) == len(runs) == len({str(run.config.as_dict()) for run in runs})
    assert len(runs) > 40
    for run in runs:
        path = tmp_path / "run.flags"
        path.write_text(run.flag_file())
        values = flags.FlagValues()
        absl_flags.define_flags(values)
        values(["main.py", f"--flagfile={path}"])
        assert absl_flags.from_flags(values) == run.config
        # Of the 2020 release's own settings nothing is chosen, and it holds no classes out.
        assert run.config.eval_split == ("test" if run.task == "omniglot_20way1shot_original" else "val")


def test_the_tests_of_the_queue_are_the_releases():
    samples = {}
    for run in published_runs.queue():
        steps = dict(run.steps())
        assert {"--metabatch=1", "--n_test_iters=1000", "--eval_split=test"} <= set(steps["meta_test.json"])
        assert ("meta_test_best.json" in steps) == (run.config.eval_split == "val")
        samples[run.config.noise_name] = [flag for flag in steps["meta_test.json"] if "mc_samp" in flag]
    assert samples["metadrop"] == ["--n_test_mc_samp=30"] and samples["maml"] == ["--n_test_mc_samp=1"]


def test_reproduce_counts_the_images_of_trainings_under_way(tmp_path):
    run = published_runs.Run("omniglot_5way1shot", "maml_seed3", ("--maml",))
    c = run.config
    assert run.n_images() == 3001 * 4 * 5 * (c.n_steps * 1 + 15) and run.n_images_so_far(tmp_path) == 0
    lines = '{"iter": 0, "split": "train", "secs": 1.5}\n{"iter": 1500, "split": "train", "secs": 9.5}\n'
    (tmp_path / "timing.jsonl").write_text(lines + '{"iter": 15')
    assert run.n_images_so_far(tmp_path) * 3001 == run.n_images() * 1501
    (tmp_path / "run.json").write_text('{"iterations": 1551}')  # the last iterations are saved, not always logged
    assert run.n_images_so_far(tmp_path) * 3001 == run.n_images() * 1551


def test_a_test_on_other_images_is_not_the_one_that_was_asked_for(tmp_path):
    """Whatever of the images, weights and tasks a step names decides whether its file is made already."""
    given = ["--maml", "--mode=meta_test", "--data_dir=here", "--n_test_iters=5", "--n_train_iters=3"]
    config = published_runs.settings(given)[0].as_dict()
    path = tmp_path / "meta_test.json"
    path.write_text(json.dumps({"config": config, "trained_with": {"iteration": 3}}))
    assert published_runs.has_made(path, given) and published_runs.has_made(path, [*given, "--savedir=elsewhere"])
    found = json.loads(path.read_text())
    for changed in (dict(precision="bfloat16"), dict(eval_normalization="support")):
        path.write_text(json.dumps(found | dict(config=config | changed)))
        assert not published_runs.has_made(path, given), changed
    path.write_text(json.dumps(found | dict(trained_with=dict(iteration=3, tested_with_images="digest"))))
    assert not published_runs.has_made(path, given)
    path.write_text(json.dumps(found))
    for other in ("--data_dir=there", "--n_test_iters=6", "--query=7", "--attack_steps=9", "--weights=best"):
        assert not published_runs.has_made(path, [*given, other]), other
