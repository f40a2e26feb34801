"""Standard scores, fitted once on the training part."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scaler:
    """z = (x - mean) / std, per column. A column that never changes in training keeps std = 1.

    NaN is a missing value, and stays one; a column of nothing else has mean 0 and std 1.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def fit(cls, values: NDArray[np.float64]) -> "Scaler":
        known = ~np.isnan(values)
        if known.all():
            mean, std = values.mean(axis=0), values.std(axis=0)
        else:
            counts = np.maximum(known.sum(axis=0), 1)
            mean = np.where(known, values, 0).sum(axis=0) / counts
            std = np.sqrt(np.where(known, (values - mean) ** 2, 0).sum(axis=0) / counts)
        return cls(mean, np.where(std > 0, std, 1.0))

    def scale(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return (values - self.mean) / self.std

    def unscale(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values * self.std + self.mean

    def as_dict(self) -> dict[str, Any]:
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Scaler":
        return cls(np.asarray(content["mean"]), np.asarray(content["std"]))
