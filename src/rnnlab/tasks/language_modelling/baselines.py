"""What predicts the next token without a net: n-grams and single tokens."""

from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd

from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.baselines.kneser_ney import LONGEST, Grown, KneserNey, Mixed
from rnnlab.tasks.language_modelling.judging import LanguageModellingJudging
from rnnlab.tasks.task import Split

COUNTED = 3_000_000
PIECE = 500_000


class LanguageModellingBaselines(Baselines):
    """ngram: Kneser-Ney, of the length that makes the validation part the likeliest. mixed: of all lengths
    up to that one and the next, weighted by how well what was read is known. unigram: each token's share.

    So that memory suffices, n-grams are counted on the last `COUNTED` tokens of the training part, and their length
    and weights are chosen on the first `PIECE` of the validation part. Nothing is learnt from the test part.
    """

    judging: LanguageModellingJudging
    trivial: ClassVar[str] = "unigram"

    def fitted(self) -> dict[str, Predict]:
        splits = self.task.meta["splits"]
        (train, train_end), (validation, validation_end) = splits["train"], splits["validation"]
        size = len(self.task.vocabulary)
        counted = self.task.tokens[max(train, train_end - COUNTED) : train_end]
        chosen_on = self.task.tokens[validation : min(validation_end, validation + PIECE)]
        grown = Grown.fit(counted, size, chosen_on)
        share = (self.task.counts + 1) / (self.task.counts.sum() + size)

        def ngrams(model: KneserNey | Mixed, split: Split) -> pd.DataFrame:
            first, end = splits[split]
            pieces = []
            for start in progress(range(first + 1, end, PIECE), f"n-grams: predicting the {split} part"):
                before = min(start, LONGEST)
                pieces.append(model.predict(self.task.tokens[start - before : min(start + PIECE, end)], before))
            p, likeliest = (np.concatenate(part) for part in zip(*pieces, strict=True))
            return self.judging.table(-np.log(p), likeliest == self.task.tokens[first + 1 : end], split)

        def unigram(split: Split) -> pd.DataFrame:
            first, end = splits[split]
            tokens = self.task.tokens[first + 1 : end]
            return self.judging.table(-np.log(share[tokens]), tokens == share.argmax(), split)

        return {
            "mixed": partial(ngrams, Mixed.fit(grown, chosen_on)),
            "ngram": partial(ngrams, grown.best),
            "unigram": unigram,
        }
