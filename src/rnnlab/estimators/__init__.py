"""Recurrent nets as scikit-learn's estimators: `fit` and `predict` on arrays in memory."""

from rnnlab.estimators.inputs import InputError
from rnnlab.estimators.recurrent import RecurrentClassifier, RecurrentRegressor

__all__ = ["InputError", "RecurrentClassifier", "RecurrentRegressor"]
