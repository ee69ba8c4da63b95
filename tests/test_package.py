"""The package as others get it: what it needs, what it holds, its papers, and a command line that answers at once."""

import ast
import inspect
import os
import pathlib
import re
import subprocess
import sys
import time
import tomllib
import zipfile

import pytest
import yaml

import tf_metadrop
from tf_metadrop.cli.command import SUBCOMMANDS

ROOT = pathlib.Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BESIDE = pathlib.Path(sys.executable).parent  # of the programs that the environment has
REACTION = 1.0  # seconds


def called(*command, **options):
    """What a program printed; fails with all that it printed where the program fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def requirements(name):
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    return sorted(line for line in lines if line)


def test_requirements_are_those_of_the_package():
    extras = PROJECT["optional-dependencies"]
    apart = [line for line in PROJECT["dependencies"] if line.startswith("tf-keras")]  # see setup_env.py
    assert len(apart) == 1
    assert requirements("requirements.txt") == sorted({*PROJECT["dependencies"]} - {*apart})
    assert requirements("requirements-dev.txt") == sorted(extras["dev"])
    assert requirements("requirements-benchmarks.txt") == sorted(extras["bench"])
    assert requirements("requirements-docs.txt") == sorted(extras["docs"])


def test_type_checkers_and_editors_know_every_public_name():
    tree = ast.parse(pathlib.Path(tf_metadrop.__file__).read_text())
    typed = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    known = {alias.asname: f"{node.module}.{alias.name}" for node in typed[0].body for alias in node.names}
    assert sorted(known) == sorted(tf_metadrop.__all__)
    for name, home in known.items():
        found = getattr(tf_metadrop, name)
        assert home == (found.__name__ if inspect.ismodule(found) else f"{found.__module__}.{found.__name__}")
    assert {*tf_metadrop.__all__} <= {*dir(tf_metadrop)}


def test_imports_go_down_only():
    assert "0 broken" in called(BESIDE / "lint-imports", "--no-cache", cwd=ROOT)


def test_workflows_are_valid():
    assert {path.stem for path in WORKFLOWS} >= {"ci", "nightly"}
    called(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


def test_ci_runs_every_supported_version():
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["test"]
    supported = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert job["strategy"]["matrix"] == {"python": supported, "tensorflow": ["2.20", "2.21"]}
    assert job["steps"][-1]["run"] == "make test PYTHON=python TF=${{ matrix.tensorflow }}"


def test_papers_say_this_version():
    version = tf_metadrop.__version__
    assert (ROOT / "LICENSE").read_text().startswith(f"{PROJECT['license']} License\n")
    assert (ROOT / "NOTICE").read_text().startswith(f"tf_metadrop {version}\n")
    newest = re.search(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert newest.groups() == (version, str(citation["date-released"])) and citation["version"] == version
    assert citation["cff-version"] == "1.2.0" and citation["license"] == PROJECT["license"]
    assert citation["message"] and citation["title"] and citation["authors"]
    assert citation["references"][0]["url"] == PROJECT["urls"]["Paper"]
    called(
        sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.citation-file-format", "CITATION.cff",
        cwd=ROOT,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]], ids=" ".join)
def test_help_comes_at_once(arguments, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    took = []
    for _ in range(3):
        start = time.perf_counter()
        out = called(sys.executable, "-m", "tf_metadrop", *arguments, cwd=tmp_path, env=environment)
        took.append(time.perf_counter() - start)
    expected = SUBCOMMANDS if len(arguments) == 1 else ["--inner_lr", "--second_order", "--noise_type"]
    assert all(re.search(rf"^ +{name}\b", out, re.MULTILINE) for name in expected), out
    assert min(took) < REACTION
    program = (
        f"import sys; from tf_metadrop.cli.command import main; code = main(['metadrop', *{arguments}]);"
        "sys.exit(code or 'tensorflow' in sys.modules)"
    )
    called(sys.executable, "-c", program, cwd=tmp_path, env=environment)


@pytest.mark.slow
def test_distributions_hold_what_is_needed(tmp_path):
    """A wheel made from the sdist, as `python -m build` does, and made from the checkout."""
    called(sys.executable, "-m", "build", "--outdir", tmp_path / "both", ROOT)
    (sdist,), (wheel,) = (tmp_path / "both").glob("*.tar.gz"), (tmp_path / "both").glob("*.whl")
    assert wheel.name.startswith(f"tf_metadrop-{tf_metadrop.__version__}-") and sdist.stat().st_size < 2e6
    called(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "wheel", ROOT)
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tf_metadrop").rglob("*.py")}
    flags = {f"tf_metadrop/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "flags").rglob("*.*")}
    tables = {f"tf_metadrop/analysis/published/{name}.csv" for name in ("accuracy", "robustness")}
    papers = {f"tf_metadrop-{tf_metadrop.__version__}.dist-info/licenses/{name}" for name in ("LICENSE", "NOTICE")}
    assert len(flags) > 70
    for path in (wheel, *(tmp_path / "wheel").glob("*.whl")):
        with zipfile.ZipFile(path) as archive:
            held = {*archive.namelist()}
        others = "tf_metadrop/analysis/report.html.jinja", "tf_metadrop/py.typed"
        assert not ({*modules, *flags, *tables, *papers, *others} - held)
        assert not [name for name in held if not name.startswith("tf_metadrop") or re.search(r"(^|/)tests?[_/]", name)]
