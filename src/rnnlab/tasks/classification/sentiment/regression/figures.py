"""Figures of numbers that belong to texts."""

from rnnlab.tasks.regression.figures import RegressionFigures


class SentimentFigures(RegressionFigures):
    """Those of every regression."""
