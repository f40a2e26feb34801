"""Which part of speech is each word of a sentence?"""

from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import softmax
from torch import Tensor

from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ragged import Ragged
from rnnlab.data.splits import split_at_random
from rnnlab.data.vocabulary import IGNORED, PADDING, SPECIAL, UNKNOWN, Vocabulary
from rnnlab.datasets.grammar import Sentence
from rnnlab.datasets.treebank import ALL, TAGS, Treebank
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.classification.base import METRICS, Classification, draw_confusion, draw_reliability
from rnnlab.tasks.raw_input import Column, sequences, texts
from rnnlab.tasks.task import SPLITS, Array, Model, Split, check_parts, check_whole

KINDS = ("one tag", "several tags", "unknown")
"""What training knows of a word: it had one tag there, or several, or the word did not occur."""

ENDING = 3
"""Letters at the end of a rare word that stand for it, where it has two more at least."""

SHOWN_SPLITS: tuple[Split, ...] = ("validation", "test")
"""Parts whose words are kept as they were written."""

SAMPLES = 20
"""Sentences of the validation part that are shown with the tags that a net gives."""


class TaggingData(Classification):
    """The words of a sentence, and the part of speech of each:

        input    they  know  that   dogs  like  that  light  .
        target   PRON  VERB  SCONJ  NOUN  VERB  DET   NOUN   PUNCT

    Many words are several parts of speech; which one often shows in what comes next, so that a bidirectional net
    (cell.bidirectional=true) is allowed here. The official splits are kept; of the other sources the splits are drawn,
    the same whatever the seed, after sentences that repeat another have been left out.

    The vocabulary is learnt from the training part. A word that occurs there less than `at_least` times, or not at all,
    is read as its shape and its ending, as "<a -ess>" for "bartolness", or as its shape alone where that is rare, too.

    The table of predictions has a row for each word of the test part; beside what `Classification` says, its
    `sentence`, the `word` and its `kind`, one of `KINDS`.

    validation, test: shares of the sentences. batch_size: sentences.
    """

    reference: ClassVar[str] = "window"
    learnt: ClassVar[tuple[str, ...]] = ("vocabulary", "tags")

    def __init__(
        self, name: str, at_least: int = 2, validation: float = 0.1, test: float = 0.2, batch_size: int = 32
    ) -> None:
        super().__init__()
        self.task_name = name
        self.at_least = at_least
        self.validation = validation
        self.test = test
        self.batch_size = batch_size

    def check(self) -> None:
        check_whole("at_least", self.at_least)
        check_parts(self.validation, self.test)
        check_whole("batch_size", self.batch_size)

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
        unknown = np.mean([word not in seen for word in words["test"]])
        return {
            "vocabulary": vocabulary.as_list(),
            "tags": classes,
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
        self._words = {split: Ragged.open(folder, f"{split}_words") for split in SPLITS}
        self._tags = {split: Ragged.open(folder, f"{split}_tags") for split in SPLITS}
        self._forms = {split: np.load(folder / f"{split}_forms.npy") for split in SPLITS}
        self._text = {
            split: np.load(folder / f"{split}_text.npy").tobytes().decode().split("\n") for split in SHOWN_SPLITS
        }
        self.test_labels = np.array(self._tags["test"].values)
        self._counts = self._count()

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
        )

    def raw_columns(self) -> dict[str, Column]:
        return {"sentence": Column("text", "a sentence, with spaces between its words and marks")}

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"sentence": ["they know that dogs like that light .", "Dogs bark !"]})

    def encode(self, table: pd.DataFrame) -> Batch:
        return sequences([encode(text.split(), self.vocabulary) for text in texts(table, "sentence")])

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """A row for each word: which one it is (`timestep`), the `word`, its tag as of any classification."""
        answers = self.named_timesteps(model(batch.to(model.device)), batch, table)
        answers.insert(1, "word", [word for text in texts(table, "sentence") for word in text.split()])
        return answers

    def _count(self) -> Array:
        """How often each word had each tag in training, (words, tags); the first row is of no word."""
        forms = self._forms["train"]
        counts = np.zeros((forms.max() + 1, len(self.classes)))
        np.add.at(counts, (forms, self._tags["train"].values), 1)
        return counts

    def loader(self, split: Split) -> Batches:
        words, tags = self._words[split], self._tags[split]

        def take(indices: Tensor) -> Batch:
            inputs, lengths = words.take(indices)
            targets, _ = tags.take(indices, padding=IGNORED)
            return Batch(inputs, targets, lengths)

        return Batches(take, ByLength(words.lengths, self.seed if split == "train" else None), self.batch_size)

    def predict(self, model: Model) -> pd.DataFrame:
        loader = self.loader("test")
        found, sentences = [], []
        batches = loader.sampler.batches(self.batch_size)
        for (batch, prediction), indices in zip(self.answers(model), batches, strict=True):
            assert batch.lengths is not None
            found.append(prediction[batch.targets != IGNORED].double().cpu())
            sentences.append(indices.repeat_interleave(batch.lengths.cpu()))
        in_order = torch.cat(sentences).argsort(stable=True)
        return self.table(softmax(torch.cat(found)[in_order].numpy(), axis=1))

    def columns(self) -> dict[str, Any]:
        lengths = self._words["test"].lengths.numpy()
        several = (self._counts > 0).sum(axis=1) > 1
        kinds = np.where(self._forms["test"] == 0, 2, several[self._forms["test"]])
        return {
            "sentence": np.repeat(np.arange(len(lengths)), lengths),
            "word": self._text["test"],
            "kind": np.array(KINDS)[kinds],
        }

    def baselines(self) -> dict[str, pd.DataFrame]:
        """window: multinomial logistic regression on a word and its two neighbours. frequent: each word's own tags.

        `frequent` gives each tag as often as the word had it in training, or, of a word that training did not have, as
        often as the rare words of its shape and ending had it; all tags together count as one more observation.
        """
        return {"window": self.table(self._of_windows), "frequent": self.table(self._frequent())}

    @cached_property
    def _of_windows(self) -> Array:
        """Kept, as the pictures of each seed show it, too."""
        y = {split: np.array(self._tags[split].values) for split in SPLITS}
        x = {split: self._windows(split) for split in SPLITS}
        met = np.isin(y["validation"], y["train"])
        return logistic_regression(
            x["train"], y["train"], x["validation"][met], y["validation"][met], x["test"], len(self.classes)
        )

    def _windows(self, split: Split) -> Any:
        """A sparse matrix (words, 3 vocabularies): which word stands before, here, and behind, in the same sentence."""
        words, size = self._words[split], len(self.vocabulary)
        here = np.array(words.values, np.int64)
        before, behind = np.roll(here, 1), np.roll(here, -1)
        before[words.offsets[:-1].numpy()] = PADDING
        behind[words.offsets[1:].numpy() - 1] = PADDING
        columns = np.stack([before, here + size, behind + 2 * size], axis=1)
        rows = np.arange(len(here)).repeat(3)
        ones = np.ones(len(rows), np.float32)
        return sparse.csr_matrix((ones, (rows, columns.ravel())), shape=(len(here), 3 * size))

    def _frequent(self) -> Array:
        overall = self._counts.sum(axis=0) / self._counts.sum()
        of_tokens = np.zeros((len(self.vocabulary), len(self.classes)))
        np.add.at(of_tokens, (self._words["train"].values, self._tags["train"].values), 1)
        forms, tokens = self._forms["test"], np.array(self._words["test"].values)
        counts = np.where(forms[:, None] > 0, self._counts[forms], of_tokens[tokens]) + overall
        result: Array = counts / counts.sum(axis=1, keepdims=True)
        return result

    def losses(self, predictions: pd.DataFrame) -> Array:
        """The wrong tags of each sentence, over the mean number of words of a sentence: their mean is 1 - accuracy."""
        wrong = (predictions["label"] != predictions["predicted"]).groupby(predictions["sentence"]).sum()
        return np.asarray(wrong * len(wrong) / len(predictions), np.float64)

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Of one table, all of words, but for the second:

        accuracy           share of right tags, punctuation included
        sentence_accuracy  share of sentences without a wrong tag
        accuracy_<kind>    of the words that had one tag in training, or several, or did not occur (see `KINDS`)
        macro_f1, nll, calibration_error: as of any classification
        """
        metrics = super().judge(predictions)
        # words of a sentence are not independent, as that interval takes them to be
        del metrics["accuracy_low"], metrics["accuracy_high"]
        right = predictions["label"] == predictions["predicted"]
        metrics["sentence_accuracy"] = float(right.groupby(predictions["sentence"]).all().mean())
        for kind in KINDS:
            chosen = predictions["kind"] == kind
            if chosen.any():
                metrics[f"accuracy_{kind.replace(' ', '_')}"] = float(right[chosen].mean())
        return metrics

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        baselines = self.baselines()
        return {
            "confusion": draw_confusion(predictions, self.classes, name),
            "reliability": draw_reliability(predictions, name),
            "by_kind": draw_by_kind(predictions, {key: baselines[key] for key in ("frequent", "window")}, name),
        }

    def samples(self, model: Model) -> dict[str, str | bytes]:
        """Some sentences of the validation part as word/TAG; where the net is wrong, word/TAG(RIGHT ONE)."""
        words, tags = self._words["validation"], self._tags["validation"]
        count = min(SAMPLES, len(words))
        batch = self.loader("validation").take(torch.arange(count)).to(model.device)
        with torch.inference_mode():
            said = model(batch).argmax(dim=-1)[batch.targets != IGNORED].tolist()
        shown = list(map(self._tagged, self._text["validation"], said, tags.values))
        edges = words.offsets[: count + 1].tolist()
        return {"tagged.txt": "".join(" ".join(shown[first:end]) + "\n" for first, end in pairwise(edges))}

    def _tagged(self, word: str, said: int, label: int) -> str:
        right = "" if said == label else f"({self.classes[label]})"
        return f"{word}/{self.classes[said]}{right}"


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


def draw_by_kind(predictions: list[pd.DataFrame], baselines: dict[str, pd.DataFrame], name: str) -> Figure:
    """The share of right tags for each kind of word, of baselines and of the net."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    tables = {**baselines, name: pd.concat(predictions)}
    kinds = [kind for kind in KINDS if (tables[name]["kind"] == kind).any()]
    share = [(tables[name]["kind"] == kind).mean() for kind in kinds]
    places, width = np.arange(len(kinds)), 0.8 / len(tables)
    greys = (str(grey) for grey in np.linspace(0.75, 0.45, len(baselines)))
    for number, ((label, table), colour) in enumerate(zip(tables.items(), (*greys, "C1"), strict=True)):
        right = (table["label"] == table["predicted"]).groupby(table["kind"]).mean()
        at = places + width * (number - (len(tables) - 1) / 2)
        bars = axes.bar(at, [100 * right[kind] for kind in kinds], width=0.95 * width, label=label, color=colour)
        axes.bar_label(bars, fmt="%.1f", fontsize=8)
    axes.set_xticks(places, [f"{kind}\n{part:.0%} of the words" for kind, part in zip(kinds, share, strict=True)])
    axes.set_ylim(0, 119)
    axes.set_yticks(range(0, 101, 20))
    axes.set_ylabel("right tags in %")
    axes.set_title(f"{name}: by what training knew of the word", fontsize=10)
    axes.legend(frameon=False, loc="upper center", ncols=len(tables))
    return figure
