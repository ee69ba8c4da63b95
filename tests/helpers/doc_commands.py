"""The commands in the blocks of code of Markdown pages: what a shell would run, taken apart."""

import pathlib
import re
import shlex
from typing import NamedTuple

FENCE = re.compile(r"^([ ]*)```(\w*)\n(.*?)^\1```[ ]*$", re.DOTALL | re.MULTILINE)
HEREDOC = re.compile(r"<<-?\s*'?(\w+)'?(.*?)\n.*?^\1$", re.DOTALL | re.MULTILINE)
SUBSTITUTION = re.compile(r"^\s*(?:export\s+)?\w+=\$\((.*?)^\)$", re.DOTALL | re.MULTILINE)
WORDS_OF_SHELLS = "if", "then", "do", "else", "fi", "done", "export", "exit", "wait", "."
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
PROGRAMS = {"main.py": "main", "get_data.py": "data", "plot.py": "plot"}  # file -> subcommand


class Command(NamedTuple):
    """One command of a page.

    Attributes:
      words: the program and its arguments, without comments, variables and redirections.
      variables: what is set for this command alone, as TF_CONFIG.
    """

    words: tuple[str, ...]
    variables: tuple[str, ...] = ()

    @property
    def metadrop(self) -> tuple[str, ...] | None:
        """The arguments of `metadrop` that are the same; None for another program. `main.py` has no subcommand."""
        first, *rest = self.words
        if first == "srun":
            return Command(tuple(rest)).metadrop
        if first == "metadrop":
            return tuple(rest)
        if first == "python" and rest[:2] == ["-m", "tf_metadrop"]:
            return tuple(rest[2:])
        if first == "python" and rest and rest[0] in PROGRAMS:
            name = PROGRAMS[rest[0]]
            return tuple(rest[1:] if name == "main" else [name, *rest[1:]])
        return None


def blocks(page: pathlib.Path, language: str) -> list[str]:
    """The blocks of code of a page in this language, in their order."""
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [re.sub(f"^{indent}", "", text, flags=re.MULTILINE) for indent, of, text in found if of == language]


def commands(text: str) -> list[Command]:
    """The commands of a block of bash.

    Raises:
      ValueError: it is not what a shell can read, for example by a quote that is not closed.
    """
    text = HEREDOC.sub(r"\2", text)
    text = SUBSTITUTION.sub(r"\1", text)
    found: list[Command] = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word and set(word) <= set(";&|"):
                found += [command] if (command := of_words(words)) else []
                words = []
            else:
                words.append(word)
    return found


def of_words(words: list[str]) -> Command | None:
    """The command of these words; None for what a shell itself does."""
    if "[" in words[:2] or (words and words[0] in WORDS_OF_SHELLS and words[0] not in ("then", "if", "do")):
        return None
    while words and words[0] in ("then", "if", "do"):
        words = words[1:]
    variables = []
    while words and ASSIGNMENT.match(words[0]):
        variables.append(words[0])
        words = words[1:]
    redirected = next((i for i, word in enumerate(words) if set(word) <= set("<>")), len(words))
    words = words[:redirected]
    return Command(tuple(words), tuple(variables)) if words else None
