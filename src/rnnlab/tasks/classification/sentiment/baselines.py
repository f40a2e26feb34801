"""What judges a review without recurrence."""

from rnnlab.output import progress
from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.ngrams import NGrams, complement_naive_bayes, nb_svm
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.classification.sentiment.data import SentimentData
from rnnlab.tasks.task import SPLITS


class SentimentBaselines(ClassificationBaselines):
    """naive_bayes: complement naive Bayes on which words and pairs of neighbouring words occur. nb_svm: NB-SVM on the
    same. frequency: each class as often as in training."""

    task: SentimentData

    def fitted(self) -> dict[str, Predict]:
        y = self.task.labels
        ngrams = NGrams(self.task.reviews["train"], len(self.task.vocabulary), sizes=(1, 2))
        x = {
            split: ngrams.features(self.task.reviews[split])
            for split in progress(SPLITS, f"{self.task.spec.task}: n-grams")
        }
        classify = nb_svm(x["train"], y["train"], x["validation"], y["validation"], len(self.task.classes))
        return {
            "naive_bayes": self.classified(complement_naive_bayes, x),
            "nb_svm": self.predict_by(classify, x),
            **super().fitted(),
        }
