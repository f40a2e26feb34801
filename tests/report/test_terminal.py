"""The leaderboard in a terminal."""

import pytest
from tabulate import tabulate

from rnnlab.report.terminal import fit

TABLE = {
    "rank": ["1", "2"],
    "name": ["ridge (baseline)", "lstm cell.hidden_size=16 optimizer.lr=0.01"],
    "relative MAE": ["0.9805", "1.0440"],
    "95 %, seeds and items": ["0.8913 to 1.0729", "0.9913 to 1.0729"],
    "seeds": ["", "3"],
    "trials": ["", "12"],
    "parameters": ["", "1,297"],
    "state": ["", "32"],
    "steps/s": ["", "61"],
    "train s": ["", "0.049"],
    "verdict": ["the reference", "no difference from ridge seen (p = 0.078); 0 of 3 seeds solve it"],
}

MARKDOWN = f"""# Leaderboard

## price: relative MAE, lower is better

{tabulate(TABLE, TABLE, "github", disable_numparse=True)}

No cell is seen to be better than ridge, the best baseline on validation. The first in rank is ridge, which uses no net.
"""


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(200, ()), (120, ("steps/s", "train s")), (80, ("95 %", "state", "trials", "parameters", "seeds", "train s"))],
)
def test_a_table_fits_into_a_terminal(width: int, left_out: tuple[str, ...]) -> None:
    shown = fit(MARKDOWN, width)
    assert max(map(len, shown.splitlines())) <= width
    head = shown[shown.index("rank") : shown.index("----")]
    assert [name for name in ("rank", "name", "MAE", "verdict", *left_out) if name in head] == [
        "rank", "name", "MAE", "verdict",
    ]  # fmt: skip
    for word in ("1.0440", "cell.hidden_size=16", "optimizer.lr=0.01", "0.078"):
        assert word in shown
    assert "from ridge" not in shown, "a row says what verdicts compare with"
    rows = [line for line in shown.splitlines() if "0.9805" in line or "1.0440" in line]
    assert rows[0].index("0.9805") == rows[1].index("1.0440")


def test_a_bar_in_a_name_is_no_border() -> None:
    shown = fit("| rank | name | verdict |\n|---|---|---|\n| 1 | gru columns=a\\|b | better |", 80)
    assert shown.splitlines()[-1].split() == ["1", "gru", "columns=a|b", "better"]
