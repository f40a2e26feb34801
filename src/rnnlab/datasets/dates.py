"""Dates as people in many places write them, and as ISO 8601 does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rnnlab.arguments import Positive, refusal
from rnnlab.datasets.dataset import File
from rnnlab.datasets.paired_texts import PairedTexts, Pairs
from rnnlab.errors import UserError
from rnnlab.extras import require

FIRST, DAYS = date(1950, 1, 1), 36_525
"""A hundred years, to the end of 2049: two digits of a year name one year."""

FORMATS: tuple[Literal["short", "medium", "long", "full"], ...] = ("short", "medium", "long", "full")
"""Of the CLDR: in American English 3/4/19; Mar 4, 2019; March 4, 2019; Monday, March 4, 2019."""

DRAWN_BY = 0
"""The seed of the dates, the same for every training."""


@dataclass(frozen=True)
class Dates(PairedTexts):
    """Days drawn from a hundred years, each in a drawn locale and format, behind the name of the locale:

        en_US 3/4/19                       2019-03-04
        en_GB 04/03/2019                   2019-03-04
        fi_FI maanantai 4. maaliskuuta 2019    2019-03-04

    Without the name there would be no telling whether 04/03 is in March or in April.

    locales: identifiers of the Unicode CLDR; or `latin`, all in Latin script; or `all`. examples: how many.
    """

    name: str = "dates"
    source: Literal["dates"] = "dates"
    locales: Sequence[str] = "latin"
    examples: Positive = 12_000

    def files(self) -> list[File]:
        return []

    def check(self) -> None:
        """Raises: `MissingExtra` without babel, beside what each data set raises."""
        super().check()
        _chosen(self.locales)

    def fingerprint(self) -> dict[str, Any]:
        facts = {"locales": _chosen(self.locales), "examples": self.examples, "babel": version("babel")}
        return {**super().fingerprint(), **facts}

    def read(self, folder: Path) -> Pairs:
        """Raises: `UserError` where one text would mean two days."""
        from babel import Locale
        from babel.dates import format_date

        self.fetched(folder)
        rng = np.random.default_rng(DRAWN_BY)
        names = _chosen(self.locales)
        locales = [Locale.parse(name) for name in names]
        days = rng.integers(DAYS, size=self.examples).tolist()
        chosen = rng.integers(len(names), size=self.examples).tolist()
        formats = rng.integers(len(FORMATS), size=self.examples).tolist()
        sources, targets = [], []
        meaning: dict[str, str] = {}
        for day, index, number in zip(days, chosen, formats, strict=True):
            when = FIRST + timedelta(days=day)
            text = f"{names[index]} {format_date(when, FORMATS[number], locales[index])}"
            if meaning.setdefault(text, when.isoformat()) != when.isoformat():
                raise UserError(f"{text!r} means both {meaning[text]} and {when}: leave {names[index]} out.")
            sources.append(text)
            targets.append(when.isoformat())
        return Pairs(sources, targets, groups=targets, kinds=[names[index] for index in chosen])


def _chosen(locales: str | Sequence[str]) -> list[str]:
    """Raises: `UserError` for a locale that the CLDR does not have; `MissingExtra` without babel."""
    require("tasks", "task=translate with task.source=dates", "babel")
    from babel import Locale, localedata

    known = sorted(set(localedata.locale_identifiers()) - {"root"})
    if locales == "all":
        return known
    if locales == "latin":
        return [name for name in known if _script(Locale.parse(name)) == "Latn"]
    if isinstance(locales, str) or not locales:
        raise UserError(refusal("task.locales", "a list such as [en_US, de_DE], or latin, or all", locales))
    for name in locales:
        if name not in known:
            close = ", ".join(get_close_matches(str(name), known, cutoff=0.4))
            raise UserError(f"task.locales has {name!r}, which is no locale of the Unicode CLDR; close to it: {close}.")
    return list(dict.fromkeys(locales))


def _script(locale: Any) -> str | None:
    """The script that the locale is written in, where it does not name one, the likely one."""
    from babel.core import get_global

    if locale.script:
        return str(locale.script)
    likely = get_global("likely_subtags")
    found = likely.get(f"{locale.language}_{locale.territory}") or likely.get(locale.language) or ""
    parts = found.split("_")
    return parts[1] if len(parts) > 1 else None
