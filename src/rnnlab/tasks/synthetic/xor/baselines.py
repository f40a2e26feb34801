"""What can be said of XOR without recurrence."""

from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.synthetic.xor.data import XorData
from rnnlab.tasks.task import SPLITS


class XorBaselines(ClassificationBaselines):
    """linear: logistic regression on the two bits. frequency: each class as often as in the rows."""

    task: XorData

    def fitted(self) -> dict[str, Predict]:
        x, y = self.task.inputs.double().numpy(), self.task.labels["train"]
        linear = logistic_regression(x, y, x, y, 2)
        return {"linear": self.predict_by(linear, dict.fromkeys(SPLITS, x)), **super().fitted()}
