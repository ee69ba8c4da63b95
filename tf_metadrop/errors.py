"""The one error that a user can cause."""


class UsageError(ValueError):
    """A flag, file or value that cannot be used.

    The message is one sentence that names the flag, file or value and says how to mend it. `main.py` and
    `get_data.py` print it without a traceback and exit with code 2.
    """
