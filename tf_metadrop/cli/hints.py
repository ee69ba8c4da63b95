"""Suggestions for words on a command line that the program does not know."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from absl import flags

from tf_metadrop.util import paths

YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
OTHERS = {  # names of our flags in other few-shot programs
    "batch_size": "metabatch", "meta_batch_size": "metabatch", "data": "data_dir", "data_path": "data_dir",
    "epochs": "n_train_iters", "iterations": "n_train_iters", "metatrain_iterations": "n_train_iters",
    "gpu": "gpu_id", "k_shot": "shot", "k_query": "query", "n_way": "way", "num_classes": "way", "logdir": "savedir",
    "output": "savedir", "output_dir": "savedir", "log_dir": "savedir", "num_updates": "n_steps",
    "update_lr": "inner_lr", "optimizer": "meta_optimizer", "outer_lr": "meta_lr", "first_order": "second_order=first",
}  # fmt: skip

KINDS = {  # how absl describes a wrong value: the kind of value that the flag needs
    "invalid literal for int": "an integer",
    "could not convert string to float": "a number",
    "('Non-boolean argument": "true or false",
}


def of_flag(name: str, values: flags.FlagValues) -> str:
    """The error message for a flag that does not exist."""
    known = [flag for flag in values if len(flag) > 1]
    plain = name.replace("-", "_")
    parts = [flag for flag in known if re.search(rf"(^|_){re.escape(plain)}s?(_|$)", flag)]
    named = OTHERS.get(plain.lower())
    negated = plain.removeprefix("no_").removeprefix("no")
    if plain.startswith("no") and negated in values and values[negated].boolean:
        return f"--{name} is not a flag: give --no{negated} if you mean that; see --help."
    likely = [named] if named and named.split("=")[0] in known else parts or difflib.get_close_matches(plain, known, 3)
    if likely and (plain != name or not plain.islower()) and plain.lower() in known:
        likely = [plain.lower()]
    meant = f"give {' or '.join(f'--{flag}' for flag in sorted(likely))} if you mean that; " if likely else ""
    return f"--{name} is not a flag: {meant}see --help."


def of_value(error: flags.Error) -> str:
    """The error message for a value that a flag cannot have, without a full stop."""
    text = " ".join(str(error).split()).rstrip(".")
    if found := re.fullmatch(r"Missing value for flag (--\w+)", text):
        return f"{found[1]} has no value"
    found = re.fullmatch(r"flag (--\w+=.*?): (.*)", text)
    wanted = [kind for reason, kind in KINDS.items() if found and found[2].startswith(reason)]
    return f"{found[1]} is not {wanted[0]}" if found and wanted else text


def of_word(word: str, arguments: Sequence[str], values: flags.FlagValues) -> str:
    """The error message for a word that is neither a flag nor the value of a flag.

    Args:
      word: the unknown word.
      arguments: the whole command line.
      values: the flags that exist.
    """
    places = [place for place, argument in enumerate(arguments) if argument == word and place]
    before = arguments[places[0] - 1] if places else ""
    name = before.lstrip("-").removeprefix("no") if before.startswith("-") else ""
    name = before.lstrip("-") if before.lstrip("-") in values else name
    if name in values and values[name].boolean:
        if word.lower() in (*YES, *NO):
            wanted = (word.lower() in YES) == (before.lstrip("-") == name)
            return f"{before} {word} does not set the flag: give --{'' if wanted else 'no'}{name}."
        return f"{word!r} is not a flag, and {before} takes no value after a space: leave it out."
    if word[:1] in "\u2010\u2011\u2012\u2013\u2014\u2212":
        return f"{word!r} begins with a dash that is not a hyphen (-), perhaps copied from a web page: type it again."
    for flag in "mode", "dataset":  # whose values are often typed without the flag
        if flag in values and word in choices_of(values[flag].help):
            return f"{word!r} is not a flag: give --{flag}={word} if you mean that."
    if "savedir" in values and paths.path(word).is_dir():
        return f"{word!r} is not a flag: give --savedir={word} if you mean that."
    return f"{word!r} is not a flag: give every value as --flag=value (see --help)."


def choices_of(text: str) -> list[str]:
    """The choices in the brackets at the end of a flag's help."""
    listed = re.search(r"\(([\w| ]+)\)$", text)
    return listed[1].split(" | ") if listed else []
