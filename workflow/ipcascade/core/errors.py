"""The one kind of error that a user can cause and fix."""


class UserError(Exception):
    """Bad input or bad options: one sentence with what, where (file, line, key) and what to do.

    The command line prints the sentence without a traceback and exits with code 1.
    """
