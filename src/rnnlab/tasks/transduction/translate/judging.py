"""What translations are worth: by the kind of the source, or by its length."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from rnnlab.extras import require
from rnnlab.tasks.task import Split
from rnnlab.tasks.transduction.judging import TransductionJudging, by_length
from rnnlab.tasks.transduction.translate.data import MANNERS, TranslateData

MOST_KINDS = 30
"""Kinds of sources that a figure can distinguish."""


class TranslateJudging(TransductionJudging):
    """Its parts are the kinds of sources, such as locales, where there are a few of them; else lengths of the source.

    beam: how many beginnings are followed as a text is written.
    """

    task: TranslateData

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Raises: `MissingExtra` without sacrebleu or rapidfuzz, beside what each judging raises."""
        super().check_options(options)
        require("tasks", "task=translate", "sacrebleu", "rapidfuzz")

    @property
    def parts(self) -> str:
        return MANNERS[self.task.source].kinds if self._by_kind else super().parts

    @property
    def _by_kind(self) -> bool:
        return 0 < len(self.task.meta["kinds"]) <= MOST_KINDS

    def columns(self, split: Split) -> dict[str, Any]:
        kinds = {"kind": self.task.kinds[split]} if self.task.kinds else {}
        return {**kinds, "group": self.task.groups[split]}

    def unit(self, predictions: pd.DataFrame) -> "pd.Series[Any]":
        """The group: a day is written in several ways, and those are easy or hard together."""
        return predictions["group"]

    def part(self, predictions: pd.DataFrame) -> "pd.Series[str]":
        if self._by_kind:
            return predictions["kind"]
        return by_length(predictions["source"], self.task.separator)
