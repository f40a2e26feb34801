"""The one kind of error that is the user's to mend."""


class UserError(Exception):
    """Says what is wrong, where, and what to do; shown as that message alone, without a traceback."""
