"""The one kind of error that is the user's to mend."""

import re


class UserError(Exception):
    """Says what is wrong, where, and what to do; shown as that message alone, without a traceback."""


def without_password(text: str) -> str:
    """The text with the password of any address in it, as in http://me:secret@host or ?password=secret, unreadable."""
    text = re.sub(r"(://[^\s/:@]*):[^\s/]*@", r"\1:***@", text)
    return re.sub(r"([?&]password=)[^\s&]+", r"\1***", text)


class MissingExtra(UserError):
    """An optional package is not installed. In a sweep the jobs that need it are skipped, and the sweep succeeds."""
