"""What `fit` and `predict` take, as `Sequences`: arrays, lists of arrays of unequal length, data frames."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import check_array

from rnnlab.data.sequences.sequences import Sequences, unnamed_channels
from rnnlab.errors import UserError

ID, TIME = "id", "time"
"""Columns of a long data frame: which sequence a row is of, and where in it."""

Series = NDArray[np.float64]


class InputError(UserError, ValueError):
    """A `UserError` where scikit-learn expects a `ValueError`."""


def sequences_of(x: Any) -> tuple[Sequences, pd.Index | None]:
    """The sequences, each (time, channels), and their ids, where a long data frame gives them any.

    x: an array (n, channels, time), or (n, time) of one channel; a list of arrays (channels, time) or (time,), each as
    long as it likes; a data frame, long or wide. Long: its columns are `ID`, perhaps `TIME`, and the channels, or its
    index has two levels, which stand for both; the rows of a sequence are put in order of time. Text makes a channel
    categorical. Wide: a row is a sequence of one channel. NaN is a missing value.

    Raises: `InputError`, or what scikit-learn raises, for anything else.
    """
    if isinstance(x, pd.DataFrame):
        if x.index.nlevels == 2:
            x = x.set_axis(x.index.set_names([ID, TIME]), axis=0).reset_index()
        if ID in x.columns:
            return _read_long(x)
        if TIME in x.columns:
            raise InputError(f"X has a column '{TIME}', and none '{ID}' that says which rows are of one sequence.")
    if isinstance(x, list | tuple) or (isinstance(x, np.ndarray) and x.dtype == object and x.ndim == 1):
        values = _read_list(x)
    else:
        array = check_array(x, dtype=np.float64, allow_nd=True, ensure_all_finite="allow-nan")
        if array.ndim > 3 or 0 in array.shape:
            raise InputError(f"X has the shape {array.shape}; (n, channels, time) is needed, or (n, time).")
        values = list(array.swapaxes(1, 2) if array.ndim == 3 else array[..., None])
    return _named(values, unnamed_channels(values[0].shape[1])), None


def _read_list(x: Iterable[Any]) -> list[Series]:
    found = []
    for number, each in enumerate(x):
        try:
            array = np.asarray(each, np.float64)
        except (TypeError, ValueError):
            raise InputError(f"X[{number}] is no array of numbers, (channels, time) or (time,).") from None
        if array.ndim == 0:
            raise InputError(f"X[{number}] is one number: Expected 2D array, got 1D array instead. Reshape your data.")
        if array.ndim > 2 or array.size == 0:
            raise InputError(f"X[{number}] has the shape {array.shape}; (channels, time) is needed, or (time,).")
        if np.isinf(array).any():
            raise InputError(f"X[{number}] contains infinity.")
        found.append(array.T if array.ndim == 2 else array[:, None])
        if found[-1].shape[1] != found[0].shape[1]:
            raise InputError(f"X[{number}] has {found[-1].shape[1]} channels, and X[0] has {found[0].shape[1]}.")
    if not found:
        raise InputError("Found array with 0 sample(s): X has no sequence.")
    return found


def _read_long(x: pd.DataFrame) -> tuple[Sequences, pd.Index]:
    channels = [name for name in x.columns if name not in (ID, TIME)]
    if not channels or x.empty:
        raise InputError(f"X has no channels beside '{ID}' and '{TIME}'." if len(x) else "X has no rows: 0 sample(s).")
    if x[ID].isna().any():
        raise InputError(f"X has rows without '{ID}'.")
    codes, ids = pd.factorize(x[ID])
    if TIME in x.columns:
        times = _times(x[TIME])
        order = np.lexsort((times, codes))
        same = (np.diff(times[order]) == 0) & (np.diff(codes[order]) == 0)
        if same.any():
            raise InputError(f"X has the same '{TIME}' twice for the id {x[ID].iloc[order[int(same.argmax())]]}.")
    else:
        order = np.argsort(codes, kind="stable")
    categories: dict[int, list[str]] = {}
    columns = []
    for index, name in enumerate(channels):
        column = x[name]
        if pd.api.types.is_numeric_dtype(column):
            columns.append(column.to_numpy(np.float64, na_value=np.nan))
            if np.isinf(columns[-1]).any():
                raise InputError(f"X contains infinity in channel '{name}'.")
            continue
        if pd.api.types.is_datetime64_any_dtype(column):
            raise InputError(f"X holds dates in '{name}': call that column '{TIME}', or leave it out.")
        numbers, texts = pd.factorize(column.map(str, na_action="ignore"))
        categories[index] = [str(text) for text in texts]
        columns.append(np.where(numbers < 0, np.nan, numbers.astype(np.float64)))
    rows = np.stack(columns, axis=1)[order]
    values = np.split(rows, np.flatnonzero(np.diff(codes[order])) + 1)
    return _named(values, list(map(str, channels)), categories), pd.Index(ids)


def _times(column: pd.Series) -> NDArray[np.int64]:
    """The place of each time in their order; of texts, in that of the numbers or dates that they are."""
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)
            or pd.api.types.is_timedelta64_dtype(column)):  # fmt: skip
        texts = column
        try:
            column = pd.to_numeric(texts)
        except (TypeError, ValueError):
            try:
                column = pd.to_datetime(texts, format="ISO8601", utc=True)
            except (TypeError, ValueError):
                raise InputError(f"X holds what is neither a number nor a date in '{TIME}'.") from None
    if column.isna().any():
        raise InputError(f"X has rows without '{TIME}'.")
    return np.asarray(pd.factorize(column, sort=True)[0], np.int64)


def _named(values: list[Series], channels: list[str], categories: dict[int, list[str]] | None = None) -> Sequences:
    places = [f"sequence {number}" for number in range(len(values))]
    return Sequences(values, channels, None, places, categories or {})


def labels_by_id(y: Any, ids: pd.Index | None) -> Any:
    """y in the order of the sequences: a series that is indexed by their ids may have any.

    Raises: `InputError` where an id has no label, or two.
    """
    if ids is None or not isinstance(y, pd.Series):
        return y
    if not y.index.is_unique:
        raise InputError("y has an id twice in its index.")
    if not ids.isin(y.index).all():
        missing = ids[~ids.isin(y.index)].tolist()
        raise InputError(f"y has no label for the id {missing[0]!r}; its index is to be the ids of X.")
    return y.loc[ids]
