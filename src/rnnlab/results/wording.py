"""How names and numbers of files are written for a person: in tables, in figures, in MLflow."""

import math
from collections.abc import Iterable

ABBREVIATIONS = {
    **{word: word.upper() for word in ("bleu", "f1", "mae", "mase", "mse", "nll", "rmse")},
    "chrf": "chrF",
    "lr": "learning rate",
}

DIGITS = 3
"""Significant digits of the largest number of a column."""

MOST_DECIMALS = 6
"""Of a column whose largest number is not smaller still."""


def words(key: str) -> str:
    """The name of a metric or setting: relative MAE for relative_mae, hidden size for cell.hidden_size."""
    return " ".join(ABBREVIATIONS.get(word, word) for word in key.rpartition(".")[2].split("_"))


def decimals(values: Iterable[float | None], digits: int = DIGITS) -> int:
    """How many decimals all numbers of a column have: enough for `digits` significant ones of the largest, and for two
    of all but the smallest quarter."""
    sizes = sorted(abs(value) for value in values if value is not None and math.isfinite(value) and value != 0)
    if not sizes:
        return 0
    of_largest = digits - 1 - math.floor(math.log10(sizes[-1]))
    of_others = 1 - math.floor(math.log10(sizes[len(sizes) // 4]))
    return max(0, of_largest, min(of_others, MOST_DECIMALS))


def with_direction(metric: str, direction: str) -> str:
    """relative MAE, lower is better"""
    return f"{words(metric)}, {'lower' if direction == 'min' else 'higher'} is better"


def without_reference(verdict: str, reference: str | None) -> str:
    """A verdict without the name of the reference, where that is the same in all rows."""
    return verdict.replace(f" than {reference}", "", 1).replace(f" from {reference}", "", 1)


def p_in_words(p_value: float) -> str:
    """Such as "= 0.012"."""
    if p_value < 1e-4:
        return "< 0.0001"
    if p_value >= 0.1:
        return f"= {p_value:.2f}"
    shown = f"{p_value:.2g}" if f"{p_value:.2g}" != "0.05" else f"{p_value:.3g}"
    # never 0.05 for what is below it
    return "= 0.0499" if p_value < 0.05 and float(shown) >= 0.05 else f"= {shown}"
