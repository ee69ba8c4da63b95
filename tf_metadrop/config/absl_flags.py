"""The absl flags made from `Config`."""

import dataclasses

from absl import flags

from tf_metadrop.config.config import METHOD_FLAGS, Config, scalar_type
from tf_metadrop.errors import UsageError


def define_flags(flag_values: flags.FlagValues) -> None:
    """Declares one absl flag for each setting; the values are checked by Config."""
    define = {int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool, str: flags.DEFINE_string}
    for field in dataclasses.fields(Config):
        text, choices = field.metadata["help"], field.metadata["choices"]
        if choices:
            text += f" ({' | '.join(choices() if callable(choices) else choices)})"
        define[scalar_type(field)](field.name, field.default, text, flag_values=flag_values)


def from_flags(flag_values: flags.FlagValues) -> Config:
    """The Config that the parsed flags describe.

    Raises:
      UsageError: a value is impossible, or --maml and --noise_type contradict each other.
    """
    values = {field.name: flag_values[field.name].value for field in dataclasses.fields(Config)}
    given = given_flags(flag_values)
    if set(METHOD_FLAGS) <= given and values["maml"] != (values["noise_type"] == "maml"):
        raise UsageError(
            f"--maml={values['maml']} and --noise_type={values['noise_type']} contradict each other: give one of them."
        )
    return Config(**values)


def given_flags(flag_values: flags.FlagValues) -> set[str]:
    """Names of the settings that the command line or a flag file gives."""
    return {field.name for field in dataclasses.fields(Config) if flag_values[field.name].present}
