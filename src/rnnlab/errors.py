"""The one kind of error that is the user's to mend."""

import re


class UserError(Exception):
    """Says what is wrong, where, and what to do; shown as that message alone, without a traceback."""


def without_password(text: str) -> str:
    """The text with the password of any address in it, as in http://me:secret@host or ?token=secret, unreadable."""
    text = re.sub(r"(://[^\s/:@]*):[^\s/]*@", r"\1:***@", text)
    return re.sub(rf"([?&](?:{SECRETS})=)[^\s&'\"]+", r"\1***", text, flags=re.IGNORECASE)


SECRETS = "password|passwd|token|access_token|api_?key|key|secret|signature|sig"
"""Names of such parts of an address's query that are nobody else's business."""


class MissingExtra(UserError):
    """An optional package is not installed. In a sweep the jobs that need it are skipped, and the sweep succeeds."""
