"""Figures of numbers that belong to sequences."""

from rnnlab.tasks.regression.figures import RegressionFigures


class SequencesFigures(RegressionFigures):
    """Those of every regression."""
