"""What can be said of XOR without recurrence."""

import numpy as np

from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.synthetic.xor.data import XorData
from rnnlab.tasks.task import SPLITS

INVERSE = 1e4
"""Of the penalty with which four rows can be fitted."""


class XorBaselines(ClassificationBaselines):
    """linear: logistic regression on the two bits. product: on the two bits and their product, in which the problem is
    linear. frequency: each class as often as in the rows."""

    task: XorData

    def fitted(self) -> dict[str, Predict]:
        from sklearn.linear_model import LogisticRegression

        x, y = self.task.inputs.double().numpy(), self.task.labels["train"]
        linear = logistic_regression(x, y, x, y, 2)
        with_product = np.column_stack([x, x.prod(axis=1)])
        product = LogisticRegression(C=INVERSE).fit(with_product, y)
        return {
            "linear": self.predict_by(linear, dict.fromkeys(SPLITS, x)),
            "product": self.predict_by(product.predict_proba, dict.fromkeys(SPLITS, with_product)),
            **super().fitted(),
        }
