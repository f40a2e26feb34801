"""What judges a review without recurrence."""

from typing import ClassVar

import pandas as pd

from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.baselines.linear import class_frequencies
from rnnlab.tasks.baselines.ngrams import NGrams, nb_svm
from rnnlab.tasks.classification.sentiment.data import SentimentData
from rnnlab.tasks.classification.sentiment.judging import SentimentJudging
from rnnlab.tasks.task import SPLITS


class SentimentBaselines(Baselines):
    """nb_svm: NB-SVM on words and pairs of neighbouring words. frequency: each class as often as in training."""

    reference: ClassVar[str] = "nb_svm"
    task: SentimentData
    judging: SentimentJudging

    def predictions(self) -> dict[str, pd.DataFrame]:
        y, y_validation = (self.task.labels[split].numpy() for split in ("train", "validation"))
        ngrams = NGrams(self.task.reviews["train"], len(self.task.vocabulary), sizes=(1, 2))
        x = {
            split: ngrams.features(self.task.reviews[split])
            for split in progress(SPLITS, f"{self.task.spec.task}: n-grams")
        }
        return {
            "nb_svm": self.judging.table(nb_svm(x["train"], y, x["validation"], y_validation, x["test"])),
            "frequency": self.judging.table(class_frequencies(y, len(self.task.test_labels), 2)),
        }
