"""The class of all errors that a user can cause."""


class UsageError(ValueError):
    """Raised if a flag, file or value cannot be used.

    The message is one sentence, or two short ones, that names the flag, file or value and says how to fix it. The
    command lines print it without a traceback and exit with code 2.
    """
