"""Docstrings and comments refer to what there is: pages of docs/, their headings, and names of the package."""

import ast
import functools
import io
import pathlib
import re
import sys
import tokenize

import pytest

import tf_metadrop

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))
from site_tools import flags_page, links  # noqa: E402

SOURCES = [path for room in ("tf_metadrop", "benchmarks", "tests") for path in sorted((ROOT / room).rglob("*.py"))]
PACKAGE = [path for path in SOURCES if path.is_relative_to(ROOT / "tf_metadrop")]
PAGE = re.compile(r'(?<![\w/])docs/([\w/]+\.md)((?:(?:,| and|, and) "[^"]+")*)')
NAME = re.compile(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?:\([^`]*\))?`")
FILES = "csv flags gif html index json jsonl jinja log md npy npz pkl png py txt yaml zip".split()  # no attributes
OTHERS = {"tf"}  # what else may stand before a dot
PAGES_OF_OLD = "TF1_BEHAVIOUR", "METHODS.md"


@functools.cache
def texts(path):
    """(line, text) of every docstring and every block of comments, each on one line."""
    source = path.read_text(encoding="utf-8")
    found = []
    for node in ast.walk(ast.parse(source)):
        kinds = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
        if isinstance(node, kinds) and (docstring := ast.get_docstring(node)):
            found.append((node.body[0].lineno, " ".join(docstring.split())))
    comments = {}  # {line after the block: (first line, text)}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            line = token.start[0]
            first, text = comments.pop(line, (line, ""))
            comments[line + 1] = first, f"{text} {token.string.lstrip('#').strip()}"
    return found + list(comments.values())


def references(pattern, paths):
    """(where, match) of everything in the texts of these files that the pattern finds."""
    return [
        (f"{path.relative_to(ROOT)}:{line}", match)
        for path in paths
        for line, text in texts(path)
        for match in pattern.finditer(text)
    ]


def headings(path):
    """The headings of a page, without those in its code."""
    text, pieces = links.without_code(path.read_text(encoding="utf-8"))
    return [links.with_code(heading, pieces) for heading in links.HEADING.findall(text)]


def missing_in_docs(name, quoted):
    """What of a reference to docs/`name` is not there, a sentence, or None; `quoted` are its headings."""
    page = ROOT / "docs" / name
    if not page.is_file():
        return f"docs/{name} is not there"
    found = headings(page)
    missing = [heading for heading in re.findall('"([^"]+)"', quoted) if not any(h.startswith(heading) for h in found)]
    return f"docs/{name} has no heading that starts with {missing}" if missing else None


def test_pages_and_headings_are_there():
    found = references(PAGE, SOURCES)
    assert len(found) >= 10 and sum(bool(match[2]) for _, match in found) >= 8
    wrong = {where: said for where, match in found if (said := missing_in_docs(match[1], match[2]))}
    assert not wrong


@pytest.mark.parametrize(
    ("name", "quoted", "pattern"),
    [
        ("none.md", "", "not there"),
        ("reference/methods/index.md", ', "Noise types" and "No such heading"', "No such"),
        ("reference/methods/index.md", ', "Noise types"', None),
    ],
)
def test_a_missing_page_or_heading_is_noticed(name, quoted, pattern):
    said = missing_in_docs(name, quoted)
    assert said is None if pattern is None else pattern in said


def test_no_text_names_the_pages_that_docs_replaced():
    texts_of_all = [(f"{path.relative_to(ROOT)}:{line}", text) for path in SOURCES for line, text in texts(path)]
    assert len(texts_of_all) > 500
    assert not [where for where, text in texts_of_all if any(old in text for old in PAGES_OF_OLD)]


def bound(statements):
    """Names that these statements bind, {name: the class that it is, or None}."""
    names = {}
    for node in statements:
        if isinstance(node, ast.ClassDef):
            names[node.name] = node
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names[node.name] = None
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0]: None for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {n.id: None for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.If | ast.Try | ast.With):
            names |= bound(node.body) | bound(getattr(node, "orelse", []))
    return names


@functools.cache
def modules():
    """{parts of its dotted name: names that it binds} of every module of the package."""
    found = {}
    for path in PACKAGE:
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = parts[:-1] if parts[-1] == "__init__" else parts
        found[name] = bound(ast.parse(path.read_text(encoding="utf-8")).body)
    return found


def classes(name):
    """All classes of this name in the package."""
    return [cls for names in modules().values() if (cls := names.get(name))]


def members(cls):
    """What a class binds, in its body and on self, and what the package's classes bind that it is made from."""
    nodes = [node for node in ast.walk(cls) if isinstance(node, ast.Attribute)]
    on_self = {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id == "self"}
    bases = [ast.unparse(base).split(".")[-1] for base in cls.bases]
    inherited = [members(each) for base in bases if base != cls.name for each in classes(base)]
    return {*bound(cls.body), *on_self}.union(*inherited)


def is_there(module, rest):
    """Whether `rest`, parts of a dotted name, can be reached from a module."""
    if not rest or (*module, rest[0]) in modules():
        return not rest or is_there((*module, rest[0]), rest[1:])
    names = modules()[module]
    if module == ("tf_metadrop",) and rest[0] in tf_metadrop.__all__:
        return True
    if rest[0] in names:
        cls = names[rest[0]]
        return len(rest) == 1 or cls is None or rest[1] in members(cls)
    # a variable that is called as its module is: `config.directory`
    return any(rest[0] in members(cls) for cls in names.values() if cls)


def resolves(name):
    """Whether a dotted name resolves that begins with a module or a class of the package; None: it is another's."""
    first, *rest = name.split(".")
    if first in OTHERS:
        return None
    in_module = any(is_there(module, rest) for module in modules() if module[-1] == first)
    return in_module or any(rest[0] in members(cls) for cls in classes(first))


def test_names_of_the_package_are_there():
    found = [(where, match[1]) for where, match in references(NAME, PACKAGE) if match[1].split(".")[-1] not in FILES]
    known = [(where, name, there) for where, name in found if (there := resolves(name)) is not None]
    assert len(known) >= 15
    assert not [(where, name) for where, name, there in known if not there]


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("layers.convs", True),
        ("tf_metadrop.methods.method", True),
        ("tf_metadrop.noise.register", True),
        ("config.Config.directory", True),
        ("config.directory", True),
        ("layers.no_such_function", False),
        ("tf_metadrop.meta", False),
        ("config.Config.no_such_setting", False),
        ("no_such_module.name", False),
        ("MetaLearner.adapt", True),
        ("MetaLearner.no_such_method", False),
        ("tf.nn.moments", None),
    ],
)
def test_a_missing_name_is_noticed(name, there):
    assert resolves(name) is there


def test_the_check_for_other_frameworks_finds_what_the_page_says(capsys):
    """The program on docs/explanations/meta_gradient.md, as it stands there."""
    text = (ROOT / "docs" / "explanations" / "meta_gradient.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(program, "docs/explanations/meta_gradient.md", "exec"), {})  # it is ours
    assert f"{float(capsys.readouterr().out):.2f}" == "0.36" and "# 0.36: wrong" in program


def test_the_page_of_flags_is_that_of_the_program():
    """After a change: python docs/site_tools/flags_page.py."""
    assert flags_page.page() == flags_page.PAGE.read_text(encoding="utf-8")
