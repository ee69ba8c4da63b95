"""metadrop reproduce: the runs behind results/, how they are made, gone on with and published."""

import json
import threading
import types

from tf_metadrop import MetaLearner, UsageError
from tf_metadrop.analysis import paired
from tf_metadrop.cli import main as main_program
from tf_metadrop.cli import reproduce
from tf_metadrop.experiments import published_runs


def test_the_queue_lists_hours_and_how_far_each_training_is(tmp_path, monkeypatch, capsys):
    run = published_runs.queue()[0]
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    assert all(run.hours > 0 for run in published_runs.queue())
    assert reproduce.main(["metadrop reproduce", "--queue", "--list", f"--out={tmp_path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        len(lines) == len(published_runs.queue())
        and f"{run.name} ({run.hours:g} h, waiting): python main.py" in lines[0]
    )
    savedir = tmp_path / run.name
    savedir.mkdir(parents=True)
    for iterations, state in ((300, "300 of 20001 iterations"), (20001, "trained")):
        (savedir / "run.json").write_text(json.dumps({"iterations": iterations}))
        assert run.state(savedir) == state
    (savedir / "meta_test.json").write_text("{}")
    assert run.state(savedir) == "done"


def test_unfinished_runs_travel_in_the_repository(tmp_path, monkeypatch, capsys):
    """Their state is kept, another machine goes on from there, and what is done is no longer kept."""
    run = published_runs.Run("omniglot_5way1shot", "maml_seed3", ("--maml",), hours=1)
    monkeypatch.setattr(published_runs, "queue", lambda: (run,))
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    here, there, kept = tmp_path / "here", tmp_path / "there", tmp_path / "checkpoints/unfinished" / run.name
    (here / run.name).mkdir(parents=True)
    for name in ("state.npz", "meta_train.log", "metrics.jsonl", "timing.jsonl", "output.log"):
        (here / run.name / name).write_text(name)
    (here / run.name / "run.json").write_text('{"iterations": 1500}')
    assert reproduce.main(["metadrop reproduce", "--queue", "--keep_unfinished", f"--out={here}"]) == 0
    assert "maml_seed3: kept, 1500 of 3001 iterations" in capsys.readouterr().out
    assert "state.npz" in [path.name for path in kept.iterdir()] and not (kept / "output.log").exists()
    assert reproduce.main(["metadrop reproduce", "--queue", "--list", f"--out={there}"]) == 0
    assert "maml_seed3 (1 h, 1500 of 3001 iterations)" in capsys.readouterr().out
    seen = []

    def start(arguments, savedir, before):
        seen.append(sorted(path.name for path in savedir.iterdir()))
        for name in ("meta_test.json", "meta_test_best.json"):
            (savedir / name).write_text('{"accuracy": 1, "interval": 1}')
        return types.SimpleNamespace(wait=lambda: 0, terminate=lambda: None)

    monkeypatch.setattr(reproduce.subprocesses, "start", start)
    assert reproduce.main(["metadrop reproduce", "--queue", f"--out={there}"]) == 0
    assert {"state.npz", "metrics.jsonl", "run.json"} <= set(seen[0]) and not kept.exists()
    already = run.n_images_so_far(here / run.name) / run.n_images()
    assert f"\r{already:4.0%}|" in "\r" + capsys.readouterr().err  # the bar begins with what was kept


def test_only_what_is_missing_in_results_is_run(tmp_path, monkeypatch, capsys):
    """In a new clone, whose checkpoints/ has no savedir of the published runs."""
    queued, attacked = (published_runs.Run("omniglot_5way1shot", n, ("--maml",), **o) for n, o in
                        (("maml_seed3", dict(hours=1)), ("maml_seed4", dict(attacked=True))))  # fmt: skip
    monkeypatch.setattr(published_runs, "queue", lambda: (queued, attacked))
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    monkeypatch.setattr(reproduce, "perform", lambda runs, *_: print("runs", *[run.label for run in runs]))
    listed = ["metadrop reproduce", "--queue", "--list", f"--out={tmp_path / 'out'}"]
    missing = ["metadrop reproduce", "--queue", "--missing"]

    def printed(arguments):
        assert reproduce.main(arguments) == 0
        return capsys.readouterr().out

    def made(run, attack=False, **changes):
        for name, flags in run.steps(attack)[0 if attack else 1 :]:
            config = published_runs.settings([*run.arguments, *flags])[0]
            found = dict(config=config.as_dict() | changes, trained_with=dict(iteration=config.n_train_iters))
            folder = tmp_path / "results" / run.name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(json.dumps(found))

    assert "maml_seed3 (1 h, waiting)" in printed(listed) and printed(missing) == "runs maml_seed3 maml_seed4\n"
    made(queued, precision="bfloat16")  # as before the settings of the run were changed
    assert "maml_seed3 (1 h, waiting)" in printed(listed) and printed(missing) == "runs maml_seed3 maml_seed4\n"
    made(queued), made(attacked)
    assert "maml_seed3 (1 h, published)" in printed(listed) and printed(missing) == "runs maml_seed4\n"
    made(attacked, attack=True)
    for more in [], ["--list"]:
        assert printed([*missing, *more]) == "nothing is missing: results/ has the results of all these runs\n"


def test_reproduce_trains_tests_and_goes_on(tmp_path, monkeypatch, capsys):
    flags = tmp_path / "flags"
    flags.mkdir()
    task = "dataset=strokes way=3 query=2 metabatch=1 n_steps=1 n_train_iters=1 n_eval_batches=1 eval_split=val"
    (flags / "tiny.flags").write_text("# tiny\n" + "".join(f"--{flag}\n" for flag in [*task.split(), "wandb=disabled"]))
    started = []

    class Process:
        def __init__(self, arguments):
            self.returncode = main_program.main(["main.py", *arguments])

        def wait(self):
            return self.returncode

        def terminate(self):
            pass

    def start(arguments, savedir, before):
        started.append(next(flag for flag in arguments if flag.startswith("--mode")))
        return Process(arguments)

    def few(run, attack=False):
        less = {"--n_test_iters=1000": "--n_test_iters=2", "--n_test_iters=30": "--n_test_iters=2"}
        less |= {"--attack_steps=20": "--attack_steps=1"}
        more = ["--attack_norms=l1", "--attack_radii=0"] if attack else []
        return [(made, [less.get(flag, flag) for flag in flags] + more) for made, flags in steps(run, attack)]

    steps = published_runs.Run.steps
    monkeypatch.setattr(published_runs.Run, "steps", few)
    monkeypatch.setattr(published_runs, "FLAGS", flags)
    one = published_runs.Run("tiny", "maml_seed3", ("--maml", "--seed=3"), attacked=True, weights=True)
    monkeypatch.setattr(published_runs, "all_runs", lambda: [one])
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    monkeypatch.setattr(reproduce.subprocesses, "start", start)
    command = ["metadrop reproduce", "tiny/*", f"--out={tmp_path / 'out'}"]
    assert reproduce.main(command) == 0
    assert "100%|" in capsys.readouterr().err  # of the images
    assert started == ["--mode=meta_train", "--mode=meta_test", "--mode=attack"]
    folder = tmp_path / "results" / "tiny" / "maml_seed3"
    assert json.loads((folder / "attack.json").read_text())["rows"][0]["tasks"] == 2
    assert json.loads((folder / "run.json").read_text())["iterations"] == 2
    result = json.loads((folder / "meta_test.json").read_text())
    assert result["trained_with"]["seed"] == 3 and result["config"]["seed"] == 0 and result["command"]
    assert result["trained_with"]["iteration"] == 1
    assert len(paired.accuracies(folder)) == 2 and "--seed=3" in (folder / "run.flags").read_text()
    learner = MetaLearner.load(tmp_path / "checkpoints" / "trained" / "tiny" / "maml_seed3")
    assert learner.config.method == "maml" and learner.config.way == 3
    assert reproduce.main(command) == 0 and started[3:] == ["--mode=meta_train"]  # which finds that it is done
    stale = tmp_path / "out" / "tiny" / "maml_seed3" / "meta_test.json"  # of other weights, or of fewer tasks
    for old, new in (('"iteration": 1', '"iteration": 0'), ('"n_test_iters": 2,', '"n_test_iters": 1,')):
        made = stale.read_text()
        stale.write_text(made.replace(old, new))
        assert stale.read_text() != made
        assert reproduce.main(command) == 0 and started[-2:] == ["--mode=meta_train", "--mode=meta_test"]
        assert (folder / "meta_test.json").read_text() == stale.read_text() and new not in stale.read_text()
    assert reproduce.main(["metadrop reproduce", "none*"]) == 2
    assert "none* names no run" in capsys.readouterr().err


def test_reproduce_goes_on_after_any_failure_and_not_after_the_end(tmp_path, monkeypatch, capsys):
    runs = [
        published_runs.Run("omniglot_5way1shot", f"maml_seed{seed}", ("--maml", f"--seed={seed}")) for seed in (3, 4)
    ]
    tried = []

    def start(arguments, savedir, before):
        tried.append(savedir.name)
        raise OSError("no space left")

    monkeypatch.setattr(published_runs, "all_runs", lambda: runs)
    monkeypatch.setattr(reproduce.subprocesses, "start", start)
    assert reproduce.main(["metadrop reproduce", f"--out={tmp_path}"]) == 2
    said = capsys.readouterr()
    assert tried == ["maml_seed3", "maml_seed4"] and "maml_seed3: OSError: no space left" in said.out
    assert "maml_seed3, omniglot_5way1shot/maml_seed4 failed" in said.err and "Traceback" not in said.err
    jobs = reproduce.Jobs(runs[:1], tmp_path, type("Bar", (), {"write": lambda *_, **__: jobs.stop()})())
    jobs.work(set())  # ended while it begins: no process is started any more
    assert len(tried) == 2 and jobs.failed == [runs[0].name]


def test_attacks_wait_for_their_models(tmp_path, monkeypatch):
    """Several workers: none attacks what another still trains, nor what failed."""
    runs = [published_runs.Run("omniglot_5way1shot", label, (), attacked=True) for label in ("slow", "broken", "quick")]
    attacked, done = threading.Event(), []

    def perform(jobs, run, attack, cores):
        if run.label == "slow" and not attack:
            attacked.wait(60)  # until the other worker has nothing left
        if run.label == "broken":
            raise UsageError("broken")
        done.append((run.label, attack))
        if (run.label, attack) == ("quick", True):
            attacked.set()

    monkeypatch.setattr(reproduce.Jobs, "_perform", perform)
    monkeypatch.setattr(published_runs.Run, "summary", lambda run, savedir: "")
    jobs = reproduce.Jobs(runs, tmp_path, types.SimpleNamespace(write=lambda *_, **__: None))
    workers = [threading.Thread(target=jobs.work, args=(set(),)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert done == [("quick", False), ("quick", True), ("slow", False), ("slow", True)]
    assert jobs.failed == ["omniglot_5way1shot/broken"]
