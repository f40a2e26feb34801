"""Text as words."""

import re

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[!?]")
LINE_BREAK = re.compile("<br ?/?>")


def words(text: str) -> list[str]:
    """Words and numbers in lower case, with the apostrophes inside them; "!" and "?" are words of their own.

        It isn't 10/10,<br />is it?    it  isn't  10  10  is  it  ?

    All other punctuation, and the line breaks of HTML, only separate.
    """
    return WORD.findall(LINE_BREAK.sub(" ", text.lower()).replace("’", "'"))
