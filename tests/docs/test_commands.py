"""The commands of the README and of docs/: what they name exists, and the tutorials' run, with short settings."""

import ast
import contextlib
import functools
import io
import pathlib
import re
import shutil
import types
import zlib

import numpy as np
import pytest
from absl import flags
from PIL import Image

import tf_metadrop
from tests.helpers.doc_commands import Command, blocks, commands
from tests.helpers.runs import ROOT, save_run
from tf_metadrop.cli import command as metadrop
from tf_metadrop.config import absl_flags
from tf_metadrop.config.config import Config
from tf_metadrop.data.spec import DATASETS
from tf_metadrop.experiments import flag_files, sweep_definition

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
OF_MAIN = {"train": "meta_train", "test": "meta_test", "attack": "attack", "export": "export"}
OTHERS = "make", "wandb", "tensorboard", "scontrol", "git", "bash", "cd"  # programs that are not this project's
PLACE = re.compile(r"[A-Z][A-Z_]*|<\w+>")  # of the reader's own: a folder S, a file FILE
FLAG = re.compile(r"--(?:no)?([A-Za-z]\w*)")
COMMITTED = re.compile(r"(flags|results|tests|benchmarks|docs|notebooks|checkpoints/trained)/[\w./*?\[\]-]+")
SHORT = dict(
    train="--n_train_iters=1 --n_eval_batches=1 --metabatch=1 --n_steps=1 --filters=2 --blocks=1 --query=1".split(),
    test="--n_test_iters=2 --metabatch=1 --n_test_mc_samp=1".split(),
    attack="--n_test_iters=1 --metabatch=1 --attack_norms=l2 --attack_radii=1 --attack_steps=1".split(),
    export=[],
)
FROM_FILE = ["--dataset=strokes", "--way=3", "--shot=1"]  # in the place of what a flag file says
# Not run, with the reason; what they name is looked at all the same.
NOT_RUN = {
    "sweep": "many trainings", "reproduce": "many trainings", "short_runs": "many trainings",
    "quickstart": "make test has it", "compare": "needs a run of the TF1 program", "replay": "needs a failed step",
}  # fmt: skip


def names(paths):
    return [path.relative_to(ROOT).as_posix() for path in paths]


@functools.cache
def flags_of(subcommand):
    """Names of the flags that a subcommand's help lists."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        metadrop.main(["metadrop", subcommand, "--help"])
    return {*re.findall(r"--(?:\[no\])?(\w+)", said.getvalue())}


def settings(arguments):
    """The Config that flags of main.py describe; raises what the program would refuse."""
    values = flags.FlagValues()
    absl_flags.define_flags(values)
    rest = values(flag_files.expanded(["main.py", *arguments]))[1:]
    assert not rest, f"{rest} are not flags"
    if values.dataset not in DATASETS:  # a data set of the reader's own
        values.dataset = "strokes"
    return absl_flags.from_flags(values)


def problems(found: Command) -> list[str]:
    """What is wrong with a command of a page."""
    wrong = [f"{path} is not there" for word in found.words for path in committed(word)]
    arguments, (first, *rest) = found.metadrop, found.words
    if arguments is not None:
        return wrong + problems_of_metadrop(list(arguments))
    if first == "make":
        targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return wrong + [f"make has no {word}" for word in rest if "=" not in word and word not in targets]
    if first == "python" and rest[:1] == ["-m"] and rest[1].startswith("benchmarks."):
        module = ROOT / f"{rest[1].replace('.', '/')}.py"
        if not module.is_file():
            return [*wrong, f"{module} is not there"]
        return wrong + unknown(rest, {*Config.__dataclass_fields__, *quoted_flags(module)})
    if first == "python" and rest[:1] == ["-m"]:
        known = rest[1] in ("pip", "pytest", "http.server", "venv", "mkdocs")
        files = [word for option, word in zip(rest, rest[1:], strict=False) if option == "-r"]
        missing = [f"{file} is not there" for file in files if not (ROOT / file).is_file()]
        return wrong + missing + ([] if known else [f"python -m {rest[1]} is not known"])
    if first == "python" and rest[0].endswith(".py"):
        here = (ROOT / rest[0]).is_file()
        return wrong + (unknown(rest, quoted_flags(ROOT / rest[0])) if here else [f"{rest[0]} is not there"])
    if first == "pip" or (first == "python" and rest == ["-"]):
        return wrong
    return wrong + ([] if first in OTHERS else [f"{first} is no program that a page should need"])


def committed(word):
    """Paths of this word that should be in the repository and are not."""
    parts = [match[0] for match in COMMITTED.finditer(word) if not word[: match.start()].endswith(("/", "."))]
    return [part for part in parts if not any(ROOT.glob(part.rstrip("/")))]


def problems_of_metadrop(arguments):
    """What is wrong with the arguments of `metadrop`."""
    first = arguments[0] if arguments and not arguments[0].startswith("-") else None
    if first and first not in metadrop.SUBCOMMANDS:
        return [f"metadrop has no {first}"]
    if first is None or first in OF_MAIN:
        try:
            settings(arguments[1:] if first else arguments)
        except (flags.Error, ValueError, OSError, AssertionError) as error:
            return [str(error)]
        return []
    wrong = unknown(arguments, flags_of(first) | {"help"})
    if first == "sweep":
        sweep_definition.load(ROOT / arguments[1])
    return wrong


def unknown(words, known):
    """Flags of these words, up to a --, that are not known."""
    words = list(words)[: list(words).index("--")] if "--" in words else words
    given = [match[1] for word in words if (match := FLAG.match(word))]
    return [f"--{name} is not known" for name in given if name not in known]


def quoted_flags(module):
    """Names of flags in the source of a program."""
    text = module.read_text(encoding="utf-8")
    return {*re.findall(r'"--(\w+)"', text), *re.findall(r'DEFINE_\w+\(\s*"(\w+)"', text)}


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_commands_name_what_exists(page, monkeypatch, request):
    monkeypatch.chdir(ROOT)
    if page.name == "noise_type.md":
        register_laplace(page, request)
    found = [command for text in blocks(page, "bash") for command in commands(text)]
    assert not {" ".join(command.words): wrong for command in found if (wrong := problems(command))}


def register_laplace(page, request):
    """The noise type whose file the page shows, for the time of a test."""
    module = types.ModuleType("laplace")
    exec(compile(blocks(page, "python")[0], page.name, "exec"), module.__dict__)  # it is ours
    tf_metadrop.noise.register("laplace", module)
    request.addfinalizer(lambda: tf_metadrop.noise.unregister("laplace"))


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("metadrop train --flagfile=flags/paper/none.flags", "none.flags"),
        ("metadrop train --inner_rate=0.1", "inner_rate"),
        ("python main.py --second_order=second", "second_order=second"),
        ("metadrop trian --way=5", "no trian"),
        ("A=1 srun metadrop adapt --suport x &", "--suport is not known"),
        ("make quickstart && make quickstop", "no quickstop"),
        ("python -m benchmarks.stop --way=2", "not there"),
        ("python -m benchmarks.step --weigh=2", "--weigh is not known"),
        ("python -m pip install -r requirements-none.txt", "requirements-none.txt is not there"),
        ("metadrop tables results/no_such_*", "is not there"),
        ("if true; then metaldrop test; fi", "metaldrop is no program"),
    ],
)
def test_a_wrong_command_is_noticed(line, pattern, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert pattern in str([wrong for command in commands(line) for wrong in problems(command)])


def test_there_are_commands():
    counts = {page.name: sum(len(commands(text)) for text in blocks(page, "bash")) for page in PAGES}
    assert counts["first_run.md"] >= 8 and counts["own_images.md"] >= 4 and sum(counts.values()) >= 60


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_python_names_what_exists(page):
    """What is imported from the package is there, and what Config is given are its fields."""
    for text in blocks(page, "python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module == "tf_metadrop":
                assert {alias.name for alias in node.names} <= {*tf_metadrop.__all__, "__version__"}
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Config":
                assert {keyword.arg for keyword in node.keywords} <= {*Config.__dataclass_fields__}


class Reader:
    """Somebody who follows a page in an empty folder, with short settings.

    Args:
      page: the page.
      folder: the current folder of this process.
    """

    def __init__(self, page: pathlib.Path, folder: pathlib.Path):
        self.ran: list[str] = []  # subcommands
        self._python = "\n".join(blocks(page, "python"))
        (folder / "flags").symlink_to(ROOT / "flags")
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "trained").symlink_to(ROOT / "checkpoints" / "trained")

    def follow(self, command: Command) -> None:
        """Runs a command, unless it needs what is not here."""
        arguments = list(command.metadrop or ())
        if command.metadrop is None or command.words[0] == "srun" or command.variables:
            return
        first = arguments.pop(0) if not arguments[0].startswith("-") else mode_of(arguments)
        values = {name: value for name, value in pairs(arguments) if name}
        words = [word for name, word in pairs(arguments) if not name]
        if first in NOT_RUN or any(PLACE.fullmatch(word) for word in [*values.values(), *words]):
            return
        if first == "data" and "source" not in values:  # a download
            return
        committed = [word for word in [*values.values(), *words] if word.startswith(("results", "checkpoints/trained"))]
        if committed and first not in ("adapt", "predict"):  # needs Omniglot, or would write into the repository
            return
        self._prepare(first, values, words)
        if first in OF_MAIN:
            arguments += SHORT[first] + (FROM_FILE if "flagfile" in values else [])
        assert metadrop.main(["metadrop", first, *arguments]) == 0, command
        self.ran.append(first)

    def _prepare(self, first, values, words):
        """What the reader has already: pictures, and what the page's Python has trained."""
        if "source" in values:
            pictures(pathlib.Path(values["source"]), classes=32, each=7)
        if first == "adapt" and pathlib.Path(values["out"]).exists():  # a page may show two ways to one classifier
            shutil.rmtree(values["out"])
        if "support" in values:
            pictures(pathlib.Path(values["support"]), classes=3, each=2)
        if first == "predict":
            for name in words[1:]:
                if name.endswith("/"):
                    pictures(pathlib.Path(name), classes=0, each=2)
                else:
                    picture(pathlib.Path(name))
        savedir = pathlib.Path(values.get("savedir", ""))
        if first != "train" and str(savedir) in self._python and not savedir.exists():
            save_run(savedir)


def mode_of(arguments):
    """The subcommand of a command line of main.py."""
    mode = next((value for name, value in pairs(arguments) if name == "mode"), "meta_train")
    return {mode: name for name, mode in OF_MAIN.items()}[mode]


def pairs(arguments):
    """(name, value) of every flag, (None, word) of every other word."""
    left = list(arguments)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("--"):
            yield None, word
        elif equals or not left or left[0].startswith("-") or name[2:] == "maml":
            yield name[2:], value
        else:
            yield name[2:], left.pop(0)


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.RandomState(zlib.crc32(str(path).encode())).randint(0, 255, (40, 30, 3))
    Image.fromarray(noise.astype(np.uint8)).save(path)


def pictures(folder, classes, each):
    """Pictures in a folder for each class; without classes, in the folder itself."""
    for place in [folder / f"class{i}" for i in range(classes)] or [folder]:
        for i in range(each):
            picture(place / f"{i}.png")


EXPECTED = {  # of a page: what must have run, in this order
    "README.md": ["data", "train", "adapt", "predict"],
    "first_run.md": ["train", "test", "train", "test", "tables", "plot", "export", "plot"],
    "own_images.md": ["data", "train", "adapt", "predict"],
    "from_tf1.md": ["train", "test"],
}


@pytest.mark.slow
@pytest.mark.parametrize("page", [ROOT / "README.md", *TUTORIALS], ids=lambda page: page.name)
def test_commands_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reader = Reader(page, tmp_path)
    for text in blocks(page, "bash"):
        for command in commands(text):
            reader.follow(command)
    assert reader.ran == EXPECTED.get(page.name, reader.ran)
    if page.name == "first_run.md":
        (program,) = blocks(page, "python")
        exec(compile(program, page.name, "exec"), {})  # it is ours
    shutil.rmtree(tmp_path)
