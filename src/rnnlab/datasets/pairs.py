"""Texts and what they become, from the one of three places that a config names.

| source   | from                                                 | pairs                          | licence           |
|----------|------------------------------------------------------|--------------------------------|-------------------|
| dates    | drawn, and written by babel as the Unicode CLDR says | as many as asked for           | Unicode-3.0, BSD  |
| names    | package pycountry: names of languages in other ones  | 7,877 from English to French   | LGPL-2.1          |
| multi30k | Elliott et al. (2016), descriptions of photographs   | 29,000, 1,014 and 1,000 (test) | none stated       |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from rnnlab.arguments import Positive, refusal
from rnnlab.datasets.dataset import Dataset, File
from rnnlab.datasets.dates import Dates
from rnnlab.datasets.language_names import LanguageNames
from rnnlab.datasets.multi30k import Multi30k
from rnnlab.datasets.paired_texts import PairedTexts, Pairs
from rnnlab.errors import UserError


@dataclass(frozen=True)
class Translations(Dataset):
    """The one of them that `source` names; see the module's table.

    locales, examples: of `rnnlab.datasets.dates.Dates`. languages: (read, written), two codes, of the others; None:
    English and French of the names, German and English of multi30k.
    """

    worded: ClassVar[tuple[str, ...]] = ("source",)

    source: Literal["dates", "names", "multi30k"]
    locales: Sequence[str] = "latin"
    examples: Positive = 12_000
    languages: Sequence[str] | None = None

    @property
    def chosen(self) -> PairedTexts:
        if self.source == "dates":
            return Dates(locales=self.locales, examples=self.examples)
        languages = None if self.languages is None else tuple(self.languages)
        if self.source == "names":
            return LanguageNames(languages=languages or ("en", "fr"))
        return Multi30k(languages=languages or ("de", "en"))

    def check(self) -> None:
        super().check()
        found = self.languages
        if found is not None and (isinstance(found, str) or len(found) != 2 or len(set(found)) != 2):
            raise UserError(refusal("task.languages", "two, one read and one written, such as [en, fr]", found))
        self.chosen.check()

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        return [{"dates": "dates", "names": "names of languages", "multi30k": "Multi30k"}[self.source]]

    def files(self) -> list[File]:
        return self.chosen.files()

    def fingerprint(self) -> dict[str, Any]:
        return self.chosen.fingerprint()

    def fetch(self, folder: Path, mirror: str | None = None) -> None:
        self.check()
        self.chosen.fetch(folder, mirror)

    def read(self, folder: Path) -> Pairs:
        return self.chosen.read(folder)
