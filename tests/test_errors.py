"""A clear error of the program is never turned into another one."""

import ast
import collections

import pytest

from tests.helpers.runs import ROOT

FILES = sorted((ROOT / "tf_metadrop").rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in FILES}


def name_of(path):
    """The dotted name of a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(module):
    """{name in a module: what of the project it is}, by its imports, wherever they stand."""
    found = {}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tf_metadrop"):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def called(body, module, names):
    """The project's functions and classes that are called in some statements: by name, or as module.name."""
    for function in (node.func for node in ast.walk(ast.Module(body, [])) if isinstance(node, ast.Call)):
        if isinstance(function, ast.Name):
            yield names.get(function.id, f"{module}.{function.id}")
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            yield f"{names.get(function.value.id)}.{function.attr}"


def raises(body):
    """Whether UsageError is raised in some statements."""
    found = (node.exc for node in ast.walk(ast.Module(body, [])) if isinstance(node, ast.Raise) and node.exc)
    return any(isinstance(each, ast.Call) and getattr(each.func, "id", "") == "UsageError" for each in found)


def definitions():
    """{full name: (module, its names, body)} of all functions, and of the classes that check what they are made of."""
    found = {}
    for path, tree in TREES.items():
        module, names = name_of(path), imported(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                found[f"{module}.{node.name}"] = module, names, node.body
            if isinstance(node, ast.ClassDef):
                made = [each for each in node.body if getattr(each, "name", "") in ("__init__", "__post_init__")]
                found[f"{module}.{node.name}"] = module, names, [line for each in made for line in each.body]
    return found


def raisers():
    """Full names of all that raises UsageError, itself or through what it calls."""
    every = definitions()
    callers = collections.defaultdict(set)
    for name, (module, names, body) in every.items():
        for each in called(body, module, names):
            callers[each].add(name)
    found, left = set(), [name for name, (_, _, body) in every.items() if raises(body)]
    while left:
        if (name := left.pop()) not in found:
            found.add(name)
            left += callers[name]
    return found


RAISERS = raisers()


def caught(handler):
    """Names of the exceptions that a handler catches."""
    kinds = [] if handler.type is None else getattr(handler.type, "elts", [handler.type])
    return {ast.unparse(kind).rpartition(".")[2] for kind in kinds} or {"BaseException"}


def test_the_functions_that_raise_are_found():
    assert {
        "tf_metadrop.config.config.Config",
        "tf_metadrop.util.text.read",
        "tf_metadrop.data.description.read",
    } <= RAISERS
    assert "tf_metadrop.util.interval.plus_minus" not in RAISERS


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_usage_error_is_not_reworded(path):
    """It is a ValueError: a handler of ValueError that explains broken content would hide what it says.

    Where a function of the project is called that may raise one, such a handler stands behind one of UsageError.
    """
    tree = TREES[path]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Try):
            continue
        if not (raises(node.body) or RAISERS & {*called(node.body, name_of(path), imported(tree))}):
            continue
        for handler in node.handlers:
            if "UsageError" in caught(handler):
                break
            if caught(handler) & {"ValueError", "Exception", "BaseException"}:
                assert not raises(handler.body), f"{path}:{handler.lineno}: put `except UsageError: raise` before it"
