"""Texts and what they become in another language: dates in ISO 8601, names of languages, sentences."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor

from rnnlab.arguments import OneOf, Part, Positive
from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ragged import Ragged
from rnnlab.data.splits import Splits, split_at_random
from rnnlab.data.vocabulary import IGNORED, SPECIAL, Vocabulary
from rnnlab.datasets.paired_texts import Pairs
from rnnlab.datasets.pairs import Translations
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.tasks.raw_input import Column, sequences, texts
from rnnlab.tasks.task import SPLITS, Split, check_parts
from rnnlab.tasks.transduction.data import MEASURES, TransductionData, read_texts, write_texts

TOKEN = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")
"""A word, hyphens and apostrophes within it included, or a mark."""

WORD = re.compile(r"\w+")


class Manner(NamedTuple):
    """How the pairs of a source are read and judged.

    measures: the first one ranks. kinds: what the pairs differ in. unit: what a group of pairs has in common.
    """

    tokens: Literal["characters", "words"]
    measures: tuple[str, ...]
    kinds: str
    unit: str


EXACT = ("exact_match", "character_error_rate", "bleu", "chrf")

MANNERS = {
    "dates": Manner("characters", EXACT, "locale", "day"),
    "names": Manner("characters", EXACT, "name in the other language", "name"),
    "multi30k": Manner("words", ("bleu", "chrf", "exact_match"), "", "sentence"),
}


class TranslateData(TransductionData):
    """A text read token by token, and another one written:

        source=dates     input   en_GB Monday, 4 March 2019
                         target  2019-03-04 END
        source=names     input   Ancient Greek (to 1453)
                         target  Grec ancien (jusqu'à 1453) END
        source=multi30k  input   ein mann mit einem orangefarbenen hut , der etwas anstarrt .
                         target  a man in an orange hat starring at something . END

    Tokens are characters; of multi30k, words and marks in lower case, and those that occur less than `at_least` times
    in training are <unknown>. Both vocabularies are learnt from the training split alone.

    multi30k keeps its official splits. Of the others, shares are drawn for validation and test, the same whatever the
    seed. All texts of one day stay together: no day of the test split occurs in training.
    """

    def __init__(
        self,
        name: str,
        source: Annotated[str, OneOf(MANNERS)] = "dates",
        validation: Part = 0.1,
        test: Part = 0.1,
        at_least: Positive = 2,
        batch_size: Positive = 64,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.source = source
        self.validation = validation
        self.test = test
        self.at_least = at_least
        self.batch_size = batch_size

    def check(self) -> None:
        super().check()
        check_parts(self.validation, self.test)

    @property
    def _of_words(self) -> bool:
        return MANNERS[self.source].tokens == "words"

    def prepare(self, dataset: Translations, raw: Path, folder: Path) -> dict[str, Any]:
        pairs = dataset.read(raw)
        splits = self._splits(pairs)
        kinds = sorted(set(pairs.kinds or []))
        texts = {
            split: tuple([self._plain(side[index]) for index in indices] for side in (pairs.sources, pairs.targets))
            for split, indices in splits.items()
        }
        fewest = self.at_least if self._of_words else 1
        vocabularies = [Vocabulary.fit(map(self.tokens, side), at_least=fewest) for side in texts["train"]]
        for split, indices in splits.items():
            for side, found, vocabulary in zip(("sources", "targets"), texts[split], vocabularies, strict=True):
                write_texts(folder, f"{split}_{side}_text", found)
                numbers = [vocabulary.encode(self.tokens(text), end=side == "targets") for text in found]
                Ragged.write(folder, f"{split}_{side}", numbers, np.int32)
            if pairs.kinds:
                number_of = {kind: number for number, kind in enumerate(kinds)}
                np.save(folder / f"{split}_kinds.npy", np.array([number_of[pairs.kinds[i]] for i in indices], np.int32))
            of_groups = np.unique([pairs.groups[index] for index in indices], return_inverse=True)[1]
            np.save(folder / f"{split}_groups.npy", of_groups.astype(np.int32))
        return {
            "vocabularies": [vocabulary.as_list() for vocabulary in vocabularies],
            "kinds": kinds,
            "longest": 1 + max(len(self.tokens(text)) for text in texts["train"][1]),
            "report": {
                **{split: f"{len(indices):,} pairs" for split, indices in splits.items()},
                "splits": "drawn" if pairs.splits is None else "official",
                "vocabularies": " and ".join(f"{len(found) - len(SPECIAL):,}" for found in vocabularies)
                + f" {MANNERS[self.source].tokens}, of sources and of targets",
                "never seen in training": _unseen(texts["train"][0], texts["test"][0]),
                "example": f"{texts['train'][0][0]!r} -> {texts['train'][1][0]!r}",
            },
        }

    def _splits(self, pairs: Pairs) -> Splits:
        if pairs.splits is not None:
            return {split: np.flatnonzero(pairs.splits == number) for number, split in enumerate(SPLITS)}
        names, group = np.unique(pairs.groups, return_inverse=True)
        drawn = split_at_random(len(names), self.validation, self.test)
        return {split: np.flatnonzero(np.isin(group, found)) for split, found in drawn.items()}

    def _plain(self, text: str) -> str:
        """The text as it is read and written: of words, in lower case with spaces between them."""
        return " ".join(TOKEN.findall(text.lower())) if self._of_words else text

    def tokens(self, text: str) -> list[str]:
        return text.split(" ") if self._of_words else list(text)

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self._folder = folder
        self._sequences = {
            split: [Ragged.open(folder, f"{split}_{side}") for side in ("sources", "targets")] for split in SPLITS
        }
        kinds = meta["kinds"]
        self.kinds = {split: np.array(kinds)[np.load(folder / f"{split}_kinds.npy")] for split in SPLITS if kinds}
        self.groups = {split: np.load(folder / f"{split}_groups.npy") for split in SPLITS}

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.measures = MANNERS[self.source].measures
        self.separator = " " if self._of_words else ""
        self.longest = learnt["longest"]
        self.read_vocabulary, self.vocabulary = (Vocabulary.from_list(tokens) for tokens in learnt["vocabularies"])
        self.spec = TaskSpec(
            task=self.task_name,
            layout="sequence_to_sequence",
            input_size=len(self.read_vocabulary),
            output_size=len(self.vocabulary),
            loss=CrossEntropy(),
            metrics={measure: MEASURES[measure] for measure in self.measures},
            rank_by=self.measures[0],
            tokens=True,
            unit=MANNERS[self.source].unit,
        )

    def state_dict(self) -> dict[str, Any]:
        """What the data taught: it goes into the checkpoint, so that a model can read and write texts."""
        return {key: self.meta[key] for key in ("vocabularies", "longest", "digest")} | {"source": self.source}

    def raw_columns(self) -> dict[str, Column]:
        return {"source": Column("text", "what is to be translated; of dates, behind the locale")}

    def raw_example(self) -> pd.DataFrame:
        examples = {
            "dates": "en_GB Monday, 4 March 2019",
            "names": "Ancient Greek (to 1453)",
            "multi30k": "Ein Mann mit einem orangefarbenen Hut.",
        }
        return pd.DataFrame({"source": [examples[self.source]]})

    def encode(self, table: pd.DataFrame) -> Batch:
        plain = map(self._plain, texts(table, "source"))
        return sequences([self.read_vocabulary.encode(self.tokens(text)) for text in plain])

    def texts(self, split: Split) -> tuple[list[str], list[str]]:
        return read_texts(self._folder, f"{split}_sources_text"), read_texts(self._folder, f"{split}_targets_text")

    def loader(self, split: Split) -> Batches:
        sources, targets = self._sequences[split]

        def take(indices: Tensor) -> Batch:
            inputs, lengths = sources.take(indices)
            wanted, _ = targets.take(indices, padding=IGNORED)
            return Batch(inputs, wanted, lengths)

        return Batches(take, ByLength(sources.lengths, self.seed if split == "train" else None), self.batch_size)


def _unseen(train: list[str], test: list[str]) -> str:
    def share(pieces: Callable[[str], set[str]]) -> str:
        known = set().union(*map(pieces, train))
        found = set().union(*map(pieces, test))
        return f"{len(found - known) / max(1, len(found)):.1%}"

    new = len(set(test) - set(train)) / len(set(test))
    words = share(lambda text: set(WORD.findall(text)))
    pieces = share(lambda text: {text[place : place + 3] for place in range(len(text) - 2)})
    return (
        f"{new:.1%} of the sources of the test split, {words} of their words, {pieces} of their pieces of 3 characters"
    )
