"""The answers of a trained net to what was read."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from rnnlab.errors import UserError
from rnnlab.serving.predictor import ROW, Predictor
from rnnlab.serving.reading import RawInput
from rnnlab.tasks.judging import Model
from rnnlab.tasks.raw_input import RowError


@runtime_checkable
class ScoresText(Protocol):
    """The judging of a task that reads a long text."""

    def score(self, model: Model, text: Iterable[str]) -> Iterator[pd.DataFrame]:
        """A row for each token, piece by piece."""


def answers_to(raw: RawInput, predictor: Predictor, options: dict[str, Any]) -> Iterator[pd.DataFrame]:
    """Piece by piece; of files, each row names its own. options: see `Judging.raw_options`.

    Raises: `UserError` that names the place of what cannot be read.
    """
    if raw.text is not None:
        assert isinstance(predictor.judging, ScoresText)
        yield from predictor.judging.score(predictor.module, raw.text)
        return
    try:
        for answers in predictor.respond(raw.tables, **options):
            if raw.files is not None:
                answers = answers.rename(columns={ROW: "file"})
                answers["file"] = [raw.files[row] for row in answers["file"]]
            if raw.sequences is not None:
                answers.insert(1, "sequence", [raw.sequences[row] for row in answers[ROW]])
            yield answers
    except RowError as error:
        raise UserError(f"{raw.place(error.row)}, {error.what}") from None
