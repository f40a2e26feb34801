"""How tags are judged: by word, by sentence, and by what training knew of the word."""

from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax

from rnnlab.data.batches import Batch
from rnnlab.data.vocabulary import IGNORED
from rnnlab.tasks.classification.judging import ClassificationJudging, losses_by
from rnnlab.tasks.classification.tagging.data import TaggingData
from rnnlab.tasks.judging import Model
from rnnlab.tasks.raw_input import texts
from rnnlab.tasks.task import Array, Split

KINDS = ("one tag", "several tags", "unknown")
"""What training knows of a word: it had one tag there, or several, or the word did not occur."""

SAMPLES = 20
"""Sentences of the validation part that are shown with the tags that a net gives."""


class TaggingJudging(ClassificationJudging):
    """The table of predictions has a row for each word of a split; beside what every classification has, its `sentence`
    and `document` (0 where none is named), the `word` and its `kind`, one of `KINDS`.
    """

    task: TaggingData

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """A row for each word: which one it is (`timestep`), the `word`, its tag as of any classification."""
        answers = self.named_timesteps(model(batch.to(model.device)), batch, table)
        answers.insert(1, "word", [word for text in texts(table, "sentence") for word in text.split()])
        return answers

    @cached_property
    def counts(self) -> Array:
        """How often each word had each tag in training, (words, tags); the first row is of no word."""
        forms = self.task.forms["train"]
        counts = np.zeros((forms.max() + 1, len(self.task.classes)))
        np.add.at(counts, (forms, self.task.tags["train"].values), 1)
        return counts

    def predict(self, model: Model) -> pd.DataFrame:
        return self.table(softmax(self.outputs_at_timesteps(model, self.task.words["test"].lengths), axis=1))

    def columns(self, split: Split) -> dict[str, Any]:
        lengths = self.task.words[split].lengths.numpy()
        several = (self.counts > 0).sum(axis=1) > 1
        kinds = np.where(self.task.forms[split] == 0, 2, several[self.task.forms[split]])
        return {
            "sentence": np.repeat(np.arange(len(lengths)), lengths),
            "document": np.repeat(self.task.documents[split], lengths),
            "word": self.task.text[split],
            "kind": np.array(KINDS)[kinds],
        }

    def losses(self, predictions: pd.DataFrame) -> Array:
        """Of each sentence or document, as `spec.unit` says, its wrong tags, as a share of the words of all."""
        return losses_by(self.task.spec.unit, predictions)

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

    def samples(self, model: Model) -> dict[str, str | bytes]:
        """Some sentences of the validation part as word/TAG; where the net is wrong, word/TAG(RIGHT ONE)."""
        words, tags = self.task.words["validation"], self.task.tags["validation"]
        count = min(SAMPLES, len(words))
        batch = self.task.loader("validation").take(torch.arange(count)).to(model.device)
        with torch.inference_mode():
            said = model(batch).argmax(dim=-1)[batch.targets != IGNORED].tolist()
        shown = list(map(self._tagged, self.task.text["validation"], said, tags.values))
        edges = words.offsets[: count + 1].tolist()
        return {"tagged.txt": "".join(" ".join(shown[first:end]) + "\n" for first, end in pairwise(edges))}

    def _tagged(self, word: str, said: int, label: int) -> str:
        right = "" if said == label else f"({self.task.classes[label]})"
        return f"{word}/{self.task.classes[said]}{right}"
