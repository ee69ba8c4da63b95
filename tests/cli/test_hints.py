"""What a command line is told that has a slip in it."""

import re

import pytest
from absl import flags

from tf_metadrop.cli import hints, main, plot
from tf_metadrop.config import absl_flags
from tf_metadrop.config.config import Config


def said(capsys, *arguments, program=main):
    assert program.main(["main.py", *arguments]) == 2
    out, err = capsys.readouterr()
    assert re.fullmatch(r"main\.py: [^\n]+\.\n", err) and not out, err
    return err


def booleans():
    return [name for name, field in Config.__dataclass_fields__.items() if isinstance(field.default, bool)]


@pytest.mark.parametrize("name", booleans())
@pytest.mark.parametrize(("word", "flag"), [("False", "--no{}"), ("true", "--{}"), ("0", "--no{}"), ("yes", "--{}")])
def test_a_value_after_a_space_for_every_yes_or_no_flag(name, word, flag, capsys):
    err = said(capsys, f"--{name}", word)
    assert f"--{name} {word} does not set the flag: give {flag.format(name)}." in err
    values = flags.FlagValues()
    absl_flags.define_flags(values)
    values(["main.py", flag.format(name)])  # what is advised does what was meant
    assert values[name].value == (word in ("true", "yes"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--lr=0.01"], "--lr is not a flag: give --inner_lr or --meta_lr if you mean that"),
        (["--steps=3"], "--adv_steps or --attack_steps or --n_steps"),
        (["--learning_rat=1"], "--learning_rat is not a flag"),
        (["--noise=maml"], "give --noise_type or --noise_variant if"),
        (["--meta_batch_size=4"], "give --metabatch if"),
        (["--update_lr=4"], "give --inner_lr if"),
        (["--savedri=x"], "or --savedir if"),
        (["--n-steps=3"], "give --n_steps if"),
        (["--Way=3"], "give --way if"),
        (["--no-resume"], "give --noresume if"),
        (["--no_maml"], "give --nomaml if"),
        (["--first_order"], "give --second_order=first if"),
        (["needs"], "'needs' is not a flag: give every value"),
        (["do"], "'do' is not a flag: give every value"),
        (["--zzz"], "--zzz is not a flag: see --help."),
        (["\u2013way=5"], "begins with a dash that is not a hyphen"),
        (["meta_test"], "give --mode=meta_test if"),
        (["strokes"], "give --dataset=strokes if"),
        (["--nomaml", "False"], "--nomaml False does not set the flag: give --maml."),
        (["--maml", "5"], "'5' is not a flag, and --maml takes no value after a space"),
        (["--way=x"], "--way=x is not an integer: see main.py --help"),
        (["--inner_lr=0,1"], "--inner_lr=0,1 is not a number: see main.py --help"),
        (["--maml=maybe"], "--maml=maybe is not true or false: see main.py --help"),
        (["--way"], "--way has no value: see main.py --help"),
        (["--way", "5", "6"], "'6' is not a flag: give every value as --flag=value"),
    ],
)
def test_what_was_probably_meant(arguments, sentence, capsys):
    err = said(capsys, *arguments)
    assert sentence in err and "?" not in err and " :" not in err


def test_a_folder_without_its_flag(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "S" / "drop").mkdir(parents=True)
    assert "give --savedir=S/drop if" in said(capsys, "S/drop")
    assert "give --savedir=S/drop if" in said(capsys, "S/drop", program=plot)


def test_names_of_other_programs_lead_to_flags_of_ours():
    assert {name.split("=")[0] for name in hints.OTHERS.values()} <= set(Config.__dataclass_fields__)
    assert not set(hints.OTHERS) & set(Config.__dataclass_fields__)
