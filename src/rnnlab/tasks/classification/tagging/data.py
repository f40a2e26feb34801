"""Which part of speech is each word of a sentence?"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.arguments import Part, Positive
from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ragged import Ragged
from rnnlab.data.splits import split_at_random
from rnnlab.data.vocabulary import IGNORED, SPECIAL, UNKNOWN, Vocabulary
from rnnlab.datasets.grammar import Sentence
from rnnlab.datasets.treebank import ALL, TAGS, Treebank
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.tasks.classification.data import METRICS, ClassificationData
from rnnlab.tasks.raw_input import Column, sequences, texts
from rnnlab.tasks.task import SPLITS, Split, check_parts

ENDING = 3
"""Letters at the end of a rare word that stand for it, where it has two more at least."""

SHOWN_SPLITS: tuple[Split, ...] = ("validation", "test")
"""Parts whose words are kept as they were written."""


class TaggingData(ClassificationData):
    """The words of a sentence, and the part of speech of each:

        input    they  know  that   dogs  like  that  light  .
        target   PRON  VERB  SCONJ  NOUN  VERB  DET   NOUN   PUNCT

    Many words are several parts of speech; which one often shows in what comes next, so that a bidirectional net
    (cell.bidirectional=true) is allowed here. The official splits are kept; of the other sources the splits are drawn,
    the same whatever the seed, after sentences that repeat another have been left out.

    The vocabulary is learnt from the training part. A word that occurs there less than `at_least` times, or not at all,
    is read as its shape and its ending, as "<a -ess>" for "bartolness", or as its shape alone where that is rare, too.

    What is judged as one unit is a sentence; where the parts are given and the files say which document a sentence
    stands in, as those of the full set do, a document, for the sentences of one have its words and its subject in
    common. Where sentences are drawn for the parts, the same documents are trained on and tested.

    validation, test: shares of the sentences. batch_size: sentences.
    """

    learnt: ClassVar[tuple[str, ...]] = ("vocabulary", "tags")

    def __init__(
        self, name: str, at_least: Positive = 2, validation: Part = 0.1, test: Part = 0.2, batch_size: Positive = 32
    ) -> None:
        super().__init__()
        self.task_name = name
        self.at_least = at_least
        self.validation = validation
        self.test = test
        self.batch_size = batch_size

    def check(self) -> None:
        super().check()
        check_parts(self.validation, self.test)

    def prepare(self, dataset: Treebank, raw: Path, folder: Path) -> dict[str, Any]:
        found = dataset.read(raw)
        sentences = sum(map(len, found.values()))
        parts = self._split(found[ALL]) if ALL in found else found
        words = {split: [word for sentence in parts[split] for word in sentence.words] for split in SPLITS}
        tags = {split: {tag for sentence in parts[split] for tag in sentence.tags} for split in SPLITS}
        # which tags there are is no secret of the test part, how often and where they stand is
        classes = [tag for tag in TAGS if tag in set().union(*tags.values())]
        if len(tags["train"]) < 2:
            raise UserError(
                f"The training part has the tag {', '.join(tags['train'])} alone: there is nothing to tell apart."
            )
        vocabulary = learn(words["train"], self.at_least)
        seen = {word: number for number, word in enumerate(dict.fromkeys(words["train"]), 1)}
        for split in SPLITS:
            tokens = [encode(sentence.words, vocabulary) for sentence in parts[split]]
            Ragged.write(folder, f"{split}_words", tokens, np.int32)
            labels = [[classes.index(tag) for tag in sentence.tags] for sentence in parts[split]]
            Ragged.write(folder, f"{split}_tags", [np.array(row) for row in labels], np.int64)
            np.save(folder / f"{split}_forms.npy", np.array([seen.get(word, 0) for word in words[split]]))
        for split in SHOWN_SPLITS:
            np.save(folder / f"{split}_text.npy", np.frombuffer("\n".join(words[split]).encode(), np.uint8))
            np.save(folder / f"{split}_documents.npy", np.array([sentence.document for sentence in parts[split]]))
        named = all(sentence.document for split in SHOWN_SPLITS for sentence in parts[split])
        unknown = np.mean([word not in seen for word in words["test"]])
        return {
            "vocabulary": vocabulary.as_list(),
            "tags": classes,
            "unit": "document" if named and ALL not in found else "sentence",
            "report": {
                **{split: f"{len(parts[split])} sentences, {len(words[split])} words" for split in SPLITS},
                "test split": "drawn" if ALL in found else "official",
                "left out": f"{sentences - sum(map(len, parts.values()))} sentences that repeat another",
                "vocabulary": f"{len(vocabulary) - len(SPECIAL)} words, shapes and endings",
                "unknown words": f"{unknown:.1%} of the test part",
                "tags": ", ".join(classes),
                "not in training": ", ".join(sorted(set(classes) - tags["train"])) or None,
            },
        }

    def _split(self, sentences: list[Sentence]) -> dict[str, list[Sentence]]:
        different = list({tuple(sentence.words): sentence for sentence in sentences}.values())
        drawn = split_at_random(len(different), self.validation, self.test)
        return {split: [different[index] for index in indices] for split, indices in drawn.items()}

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self.words = {split: Ragged.open(folder, f"{split}_words") for split in SPLITS}
        self.tags = {split: Ragged.open(folder, f"{split}_tags") for split in SPLITS}
        self.forms = {split: np.load(folder / f"{split}_forms.npy") for split in SPLITS}
        self.text = {
            split: np.load(folder / f"{split}_text.npy").tobytes().decode().split("\n") for split in SHOWN_SPLITS
        }
        self.documents = {split: np.load(folder / f"{split}_documents.npy") for split in SHOWN_SPLITS}
        self.labels = {split: np.array(self.tags[split].values) for split in SPLITS}

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.vocabulary = Vocabulary.from_list(learnt["vocabulary"])
        self.classes = learnt["tags"]
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_many",
            input_size=len(self.vocabulary),
            output_size=len(self.classes),
            loss=CrossEntropy(),
            metrics={**METRICS, "sentence_accuracy": "max"},
            rank_by="accuracy",
            tokens=True,
            unit=learnt.get("unit", "sentence"),  # a trained model knows none, and judges nothing
        )

    def raw_columns(self) -> dict[str, Column]:
        return {"sentence": Column("text", "a sentence, with spaces between its words and marks")}

    def raw_timestep(self) -> Column:
        return Column("text", "a word or mark")

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"sentence": ["they know that dogs like that light .", "Dogs bark !"]})

    def encode(self, table: pd.DataFrame) -> Batch:
        return sequences([encode(text.split(), self.vocabulary) for text in texts(table, "sentence")])

    def loader(self, split: Split) -> Batches:
        words, tags = self.words[split], self.tags[split]

        def take(indices: Tensor) -> Batch:
            inputs, lengths = words.take(indices)
            targets, _ = tags.take(indices, padding=IGNORED)
            return Batch(inputs, targets, lengths)

        return Batches(take, ByLength(words.lengths, self.seed if split == "train" else None), self.batch_size)


def stand_ins(word: str) -> tuple[str, str, str]:
    """What may be read in the place of a word, the closest first: itself, its shape and ending, its shape.

    "bartolness": bartolness, <a -ess>, <a>; "Paris": Paris, <Aa -ris>, <Aa>; "1984": 1984, <0>, <0>.
    """
    if any(letter.isdigit() for letter in word):
        shape = "0"
    elif not any(letter.isalpha() for letter in word):
        shape = "."
    elif word.isupper() and len(word) > 1:
        shape = "AA"
    else:
        shape = "Aa" if word[0].isupper() else "a"
    has_ending = word.isalpha() and len(word) >= ENDING + 2
    return word, f"<{shape} -{word[-ENDING:].lower()}>" if has_ending else f"<{shape}>", f"<{shape}>"


def learn(words: Iterable[str], at_least: int) -> Vocabulary:
    """The words that occur `at_least` times, then the `stand_ins` of the others that do."""
    left = Counter(words)
    kept: list[str] = []
    for level in range(3):
        counts: Counter[str] = Counter()
        for word, count in left.items():
            counts[stand_ins(word)[level]] += count
        frequent = {token for token, count in counts.items() if count >= at_least}
        kept += sorted(frequent - set(kept), key=lambda token: (-counts[token], token))
        left = Counter({word: count for word, count in left.items() if stand_ins(word)[level] not in frequent})
    return Vocabulary([*SPECIAL, *kept])


def encode(words: Iterable[str], vocabulary: Vocabulary) -> NDArray[np.int32]:
    """The number of the closest of each word's `stand_ins` that the vocabulary has."""
    known = (next((token for token in stand_ins(word) if token in vocabulary), SPECIAL[UNKNOWN]) for word in words)
    return vocabulary.encode(known)
