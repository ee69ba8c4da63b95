"""Writes the tables of every flag into docs/reference/flags.md, from the fields of `tf_metadrop.Config`.

python docs/site_tools/flags_page.py
"""

import dataclasses
import pathlib
import re

from tf_metadrop.config.config import Config
from tf_metadrop.config.setting import Role, scalar_type

PAGE = pathlib.Path(__file__).parent.parent / "reference" / "flags.md"
BEGIN, END = "<!-- every flag, by docs/site_tools/flags_page.py -->\n\n", "\n\n<!-- end -->"
HEAD = "| flag | values | default | what it does |\n|---|---|---|---|"
SPECIAL = {"&": "&amp;", "<": "&lt;", "|": "&#124;", "*": "&#42;", "_": "&#95;"}
CODE = re.compile(r"`[^`]+`|--\w+(=[\w.]+\w)?|[&<|*_]")
KINDS = {int: "whole number", float: "number", str: "text", bool: "on or off"}


def tables() -> str:
    """A heading, a sentence and a table for each role that a flag can have, in Markdown."""
    parts = []
    for role in Role:
        fields = [field for field in dataclasses.fields(Config) if field.metadata["role"] is role]
        said = role.value[0].upper() + role.value[1:]
        table = "\n".join([HEAD, *map(row, fields)])
        parts.append(f'## {role.name.capitalize()}\n\n{said}.\n\n<div class="flags" markdown>\n\n{table}\n\n</div>')
    return "\n\n".join(parts)


def page() -> str:
    """The text of PAGE with its tables renewed."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return f"{before}{BEGIN}{tables()}{END}{rest.partition(END)[2]}"


def row(field: dataclasses.Field) -> str:
    """The line of a flag; its name is an anchor."""
    text = field.metadata["help"]
    text = text[0].upper() + text[1:]
    if part_of := field.metadata["part_of"]:
        setting, value = part_of
        text += f". Has an effect only with --{setting}" + (f"={value}" if value else ", when it is not the default")
    name = f'<a id="{field.name}"></a>`--{field.name}`'
    return f"| {name} | {values(field)} | {default(field)} | {escaped(text)}. |"


def values(field: dataclasses.Field) -> str:
    """What a flag takes."""
    rule, kind = field.metadata, KINDS[scalar_type(field)]
    if choices := rule["choices"]:
        return ", ".join(f"`{choice}`" for choice in (choices() if callable(choices) else choices))
    limits = {"minimum": "at least", "above": "above", "below": "below"}
    said = [f"{words} {rule[name]:g}" for name, words in limits.items() if rule[name] is not None]
    return f"{kind} {' and '.join(said)}".strip()


def default(field: dataclasses.Field) -> str:
    """The default as a command line shows it."""
    if field.default is None:
        return "none"
    if isinstance(field.default, bool):
        return "on" if field.default else "off"
    return f"`{field.default}`"


def escaped(text: str) -> str:
    """A text for a cell of a table, in which flags and code are code and nothing else is Markdown."""
    return CODE.sub(lambda match: f"`{match[0].strip('`')}`" if match[0][0] in "`-" else SPECIAL[match[0]], text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
