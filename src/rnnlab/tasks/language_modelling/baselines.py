"""What predicts the next token without a net: n-grams and single tokens."""

from typing import ClassVar

import numpy as np
import pandas as pd

from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.baselines.kneser_ney import LONGEST, KneserNey
from rnnlab.tasks.task import SPLITS

COUNTED = 3_000_000
PIECE = 500_000


class LanguageModellingBaselines(Baselines):
    """ngram: Kneser-Ney, of the length that makes the validation part the likeliest. unigram: each token's share.

    So that memory suffices, n-grams are counted on the last `COUNTED` tokens of the training part, and their length
    is chosen on the first `PIECE` of the validation part.
    """

    reference: ClassVar[str] = "ngram"

    def predictions(self) -> dict[str, pd.DataFrame]:
        train, validation, (first, end) = (self.task.meta["splits"][split] for split in SPLITS)
        size = len(self.task.vocabulary)
        counted = self.task.tokens[max(train[0], train[1] - COUNTED) : train[1]]
        chosen_on = self.task.tokens[validation[0] : min(validation[1], validation[0] + PIECE)]
        model = KneserNey.fit(counted, size, chosen_on)
        pieces = [
            model.predict(self.task.tokens[start - LONGEST : min(start + PIECE, end)], LONGEST)
            for start in progress(range(first + 1, end, PIECE), "n-grams: predicting the test part")
        ]
        p, likeliest = (np.concatenate(part) for part in zip(*pieces, strict=True))
        tokens = self.task.tokens[first + 1 : end]
        share = (self.task.counts + 1) / (self.task.counts.sum() + size)
        return {
            "ngram": self.judging.table(-np.log(p), likeliest == tokens),
            "unigram": self.judging.table(-np.log(share[tokens]), tokens == share.argmax()),
        }
