"""The names of some 8,000 languages in other languages, of the package pycountry (the translations of iso-codes)."""

import gettext
import io
import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from rnnlab.datasets.dataset import File, members, read_member
from rnnlab.datasets.paired_texts import PairedTexts, Pairs
from rnnlab.errors import UserError

WHEEL = File(
    "pycountry-26.2.16-py3-none-any.whl",
    ("115c4baf7cceaa30f59a4694d79483c9167dbce7a9de4d3d571c5f3ea77c305a",),
    distribution="pycountry==26.2.16",
)
DATABASE = "pycountry/databases/iso639-3.json"
TRANSLATIONS = "pycountry/locales/{}/LC_MESSAGES/iso639-3.mo"

FEWEST = 100
"""Pairs below which a language has too few to learn from."""


@dataclass(frozen=True)
class LanguageNames(PairedTexts):
    """Pairs such as "Ancient Greek (to 1453)" and "Grec ancien (jusqu'à 1453)".

    Many names are the same in both languages: `kinds` tells those apart. A name that stands for several languages and
    is written in several ways is left out.

    languages: (read, written): en, and codes of pycountry's folders, such as fr, de, hu, uk, hi.
    """

    name: str = "language-names"
    source: Literal["names"] = "names"
    languages: tuple[str, ...] = ("en", "fr")

    def files(self) -> list[File]:
        return [WHEEL]

    def fingerprint(self) -> dict[str, Any]:
        return {**super().fingerprint(), "languages": list(self.languages)}

    def read(self, folder: Path) -> Pairs:
        """Raises: `UserError` for a language that is not there or has too few names, and for other formats."""
        self.fetched(folder)
        wheel = folder / WHEEL.name
        names = _english(read_member(wheel, DATABASE))
        texts = [_translated(wheel, language, names) for language in self.languages]
        answers: dict[str, set[str]] = {}
        for source, target in zip(*texts, strict=True):
            if source and target:
                answers.setdefault(source, set()).add(target)
        pairs = [(source, found.pop()) for source, found in answers.items() if len(found) == 1]
        if len(pairs) < FEWEST:
            raise UserError(f"task.languages={list(self.languages)}: only {len(pairs)} names are in both languages.")
        sources, targets = (list(side) for side in zip(*pairs, strict=True))
        kinds = ["the same" if source.lower() == target.lower() else "another" for source, target in pairs]
        return Pairs(sources, targets, groups=sources, kinds=kinds)


def _english(content: bytes) -> list[str]:
    try:
        return [str(entry["name"]) for entry in json.loads(content)["639-3"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{DATABASE} is no list of languages with names ({error!r}): fetch it again.") from None


class _Missing(gettext.NullTranslations):
    def gettext(self, message: str) -> str:
        return ""


def _translated(wheel: Path, language: str, names: list[str]) -> list[str]:
    """Each name in the language; "" where that has none."""
    if language == "en":
        return names
    member = TRANSLATIONS.format(language)
    try:
        translations = gettext.GNUTranslations(io.BytesIO(read_member(wheel, member)))
    except UserError:
        folder, file = TRANSLATIONS.split("{}")
        found = [name for name, _ in members(wheel, lambda name: name.startswith(folder) and name.endswith(file))]
        known = ["en", *sorted(name.removeprefix(folder).removesuffix(file) for name in found)]
        close = get_close_matches(language, known, n=3, cutoff=0.3)
        raise UserError(
            f"task.languages: {WHEEL.name} has no names of languages in {language!r}; it has {len(known)} others, "
            f"such as {', '.join(close or known[:10])}."
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{member} of {wheel} is no table of translations ({error}): fetch it again.") from None
    translations.add_fallback(_Missing())
    return [translations.gettext(name) for name in names]
