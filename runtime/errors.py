"""The base of every error that a person is meant to read."""


class SinewError(Exception):
    """Something was wrong or was refused. The text names what, where, the value, the limit and what to do.

    The command prints it and ends with status 1; any other exception is a bug and shows its traceback.
    """
