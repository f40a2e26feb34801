"""What transcripts are worth: the errors in their words, by the length of the string."""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import pandas as pd

from rnnlab.extras import require
from rnnlab.tasks.task import Split
from rnnlab.tasks.transduction.judging import TransductionJudging
from rnnlab.tasks.transduction.transcribe.data import TranscribeData

NOTHING = ""
"""In the place of a word that was left out, or put in."""


class TranscribeJudging(TransductionJudging):
    """Its parts are strings of as many words. beam: beginnings kept in the search for the likeliest tokens, 1: the
    likeliest one at each timestep."""

    task: TranscribeData
    parts = "length of the string"

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Raises: `MissingExtra` without jiwer or rapidfuzz, beside what each judging raises."""
        super().check_options(options)
        require("tasks", "task=transcribe", "jiwer", "rapidfuzz")

    def text(self, numbers: list[int]) -> str:
        """As of any text; of letters, with one space between two words."""
        return " ".join(super().text(numbers).split())

    def columns(self, split: Split) -> dict[str, Any]:
        return {"timesteps": self.task.frames[split].lengths.numpy(), "speaker": self.task.meta["speakers"][split]}

    def unit(self, predictions: pd.DataFrame) -> "pd.Series[Any]":
        return super().unit(predictions) if self.task.spec.unit == "string" else predictions["speaker"]

    def part(self, predictions: pd.DataFrame) -> "pd.Series[str]":
        """How many words the string has."""
        words = predictions["reference"].str.count(" ") + 1
        names = [f"{number} word{'s' * (number > 1)}" for number in range(1, words.max() + 1)]
        return pd.Series(
            pd.Categorical([names[number - 1] for number in words], names, ordered=True), predictions.index
        )

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """As of any text, and what the word error rate is the sum of: substitutions, deletions, insertions."""
        aligned = self.aligned(predictions)
        words = int((aligned["true"] != NOTHING).sum())
        kinds = {
            "substitutions": (aligned["true"] != NOTHING) & (aligned["written"] != NOTHING) & aligned["wrong"],
            "deletions": aligned["written"] == NOTHING,
            "insertions": aligned["true"] == NOTHING,
        }
        return super().judge(predictions) | {kind: float(found.sum()) / words for kind, found in kinds.items()}

    def aligned(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """A row for each word of the alignment of each `string` that has the fewest errors: the `true` word, `NOTHING`
        where one was inserted, the `written` one, `NOTHING` where it was deleted, and whether that is `wrong`."""
        import jiwer

        found = jiwer.process_words(predictions["reference"].tolist(), predictions["written"].tolist())
        rows = []
        strings = zip(found.references, found.hypotheses, found.alignments, strict=True)
        for number, (reference, written, chunks) in enumerate(strings):
            for chunk in chunks:
                true = reference[chunk.ref_start_idx : chunk.ref_end_idx]
                put = written[chunk.hyp_start_idx : chunk.hyp_end_idx]
                for one, other in zip_longest(true, put, fillvalue=NOTHING):
                    rows.append((number, one, other, one != other))
        return pd.DataFrame(rows, columns=["string", "true", "written", "wrong"])
