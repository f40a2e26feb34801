"""What recognises digits without recurrence."""

from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.classification.digits.data import DigitsData
from rnnlab.tasks.task import SPLITS, Array, Split


class DigitsBaselines(ClassificationBaselines):
    """linear: multinomial logistic regression on all 784 pixels. frequency: each class as often as in training."""

    task: DigitsData

    def fitted(self) -> dict[str, Predict]:
        x, y = {split: self._flat(split) for split in SPLITS}, self.task.labels
        linear = logistic_regression(x["train"], y["train"], x["validation"], y["validation"], 10)
        return {"linear": self.predict_by(linear, x), **super().fitted()}

    def _flat(self, split: Split) -> Array:
        images = self.task.images[split]
        flat: Array = images.reshape(len(images), -1) / 255.0
        return flat
