"""Names and numbers as a person reads them."""

import pytest

from rnnlab.results.wording import decimals, p_in_words, words


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("relative_mae", "relative MAE"),
        ("macro_f1", "macro F1"),
        ("cell.hidden_size", "hidden size"),
        ("optimizer.lr", "learning rate"),
        ("chrf", "chrF"),
    ],
)
def test_keys_are_words(key: str, shown: str) -> None:
    assert words(key) == shown


@pytest.mark.parametrize(
    ("values", "digits"),
    [
        ([0.8, 0.85123, None], 3),
        ([1.0, 0.97], 2),
        ([45.31, 0.3], 2),
        ([912.4, 400.0], 0),
        ([0.1667, 0.0003, 0.0004, 0.17], 5),
        ([1e-9, 0.0], 11),
        ([float("nan"), 0.0], 0),
    ],
)
def test_a_column_has_as_many_decimals_as_its_numbers_take(values: list[float | None], digits: int) -> None:
    assert decimals(values) == digits


@pytest.mark.parametrize(
    ("p_value", "shown"),
    [
        (0.5, "= 0.50"),
        (0.0902, "= 0.09"),
        (0.0504, "= 0.0504"),
        (0.0496, "= 0.0496"),
        (0.04999, "= 0.0499"),
        (0.000759, "= 0.00076"),
        (1e-5, "< 0.0001"),
    ],
)
def test_p_values_never_read_as_the_limit_that_they_are_below(p_value: float, shown: str) -> None:
    assert p_in_words(p_value) == shown
