"""The one kind of error that is the user's to correct."""


class UserError(Exception):
    """Says what is wrong, where, and what to do; shown as that message alone, without a traceback."""


class MissingExtra(UserError):
    """An optional package is not installed. In a sweep the jobs that need it are skipped, and the sweep succeeds."""
