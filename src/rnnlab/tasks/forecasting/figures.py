"""What the figures of all forecasts share."""

import numpy as np
import pandas as pd


def mean_of(predictions: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    """The first table, with the mean over all tables (seeds) in some columns."""
    return predictions[0].assign(
        **{column: np.mean([table[column] for table in predictions], axis=0) for column in columns}
    )
