"""Tables whose numbers and dates could be read in several ways: they are read as they were written, or refused."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnnlab.data.tables.table import Table
from rnnlab.data.tables.values import DECIMAL_MARKS, Notation
from rnnlab.datasets.prices import Prices
from rnnlab.datasets.series import Series
from rnnlab.errors import UserError
from rnnlab.serving.reading import read_input
from rnnlab.tasks.forecasting.price.data import PriceData
from rnnlab.tasks.forecasting.series.data import SeriesData

DAYS = [date(2021, 1, 1) + timedelta(days=day) for day in range(200)]


def written(header: list[str], rows: list[list[str]], separator: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


def read(content: bytes, **notation: str) -> tuple[pd.Series, list[str]]:
    table = Table.parse(content, "my.csv", Notation(**notation))
    frame = table.series(None, "y", [])
    return frame["y"], table.notes


def refusal(content: bytes | str, target: str = "y", **notation: str) -> str:
    with pytest.raises(UserError) as failure:
        Table.parse(content if isinstance(content, bytes) else content.encode(), "my.csv", Notation(**notation)).series(
            None, target, []
        )
    assert "\n" not in str(failure.value)
    return str(failure.value)


def found_or_refused(content: bytes) -> tuple[pd.Series, list[str]] | str:
    try:
        return read(content)
    except UserError as error:
        return str(error)


def test_only_what_is_not_read_is_said_to_be_unread() -> None:
    table = Table.parse(b"date,y,rain,wind,sun\n2024-01-01,1,2,3,4\n2024-01-02,2,3,4,5\n", "my.csv")
    assert table.unread(iter(["y", "rain", "sun"])) == ["wind"]


# --- numbers ----------------------------------------------------------------------------------------------------------


def number_text(value: int, decimals: int, mark: str, group: str, strip: bool) -> str:
    """value / 10 ** decimals."""
    text = f"{value / 10**decimals:,.{decimals}f}"
    if strip and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.translate({ord(","): group, ord("."): mark})


VALUES = st.lists(st.one_of(st.integers(-999, 999), st.integers(-3_000_000, 3_000_000)), min_size=2, max_size=12)


@settings(max_examples=100, deadline=None)
@given(
    values=VALUES,
    others=VALUES,
    decimals=st.tuples(*[st.integers(0, 4)] * 2),
    marks=st.sampled_from(
        [(".", ","), (".", " "), (".", "'"), (".", ""), (",", "."), (",", " "), (",", "'"), (",", "")]
    ),
    strip=st.booleans(),
    separator=st.sampled_from(",;\t|"),
    dates=st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%b %d, %Y"]),
    beside=st.booleans(),
)
@example([1_003, 999], [0] * 2, (0, 0), (",", "."), False, ";", "%d.%m.%Y", False)
@example([1_003, 999], [0] * 2, (0, 0), (",", "."), False, ",", "%Y-%m-%d", False)
@example([1_003, 2_003], [1, 2], (0, 1), (",", "."), False, ",", "%Y-%m-%d", True)
@example([100_126, 99_994], [0] * 2, (3, 0), (",", ""), False, ";", "%d.%m.%Y", False)
@example([1_234_567, 2_345_678], [0] * 2, (3, 0), (",", " "), False, ";", "%d.%m.%Y", False)
@example([1_234_567, 2_345_678], [0] * 2, (3, 0), (".", "'"), False, ",", "%Y-%m-%d", False)
def test_numbers_are_read_as_they_were_written_or_refused(
    values: list[int],
    others: list[int],
    decimals: tuple[int, int],
    marks: tuple[str, str],
    strip: bool,
    separator: str,
    dates: str,
    beside: bool,
) -> None:
    cells = [number_text(value, decimals[0], *marks, strip) for value in values]
    more = [number_text(others[row % len(others)], decimals[1], *marks, strip) for row in range(len(cells))]
    rows = [
        [f"{day:{dates}}", cell, *([other] if beside else [])]
        for day, cell, other in zip(DAYS, cells, more, strict=False)
    ]
    content = written(["date", "y", *(["z"] if beside else [])], rows, separator)
    truth = [float(f"{value / 10 ** decimals[0]:.{decimals[0]}f}") for value in values]
    (name,) = (name for name, mark in DECIMAL_MARKS.items() if mark == marks[0])
    assert read(content, decimal=name)[0].tolist() == truth
    answer = found_or_refused(content)
    if isinstance(answer, str):
        assert re.search(r"line \d+, column 2 \(y\): found '.*task\.decimal=comma.*task\.decimal=point", answer)
        return
    found, notes = answer
    if found.tolist() != truth:
        # the very bytes that '%.3f' writes, which are far more common: then a note says how to read them otherwise
        assert all(re.fullmatch(r"-?[1-9]\d{0,2}\.\d{3}", cell) for cell in cells)
        assert separator != ";"
        assert dates != "%d.%m.%Y"
        assert any("task.decimal=comma" in note for note in notes)


@pytest.mark.parametrize("separator", [",", "\t", "|"])
def test_three_decimals_of_a_program_are_decimals(separator: str) -> None:
    numbers = [round(100 + row / 7, 3) for row in range(50)]
    content = written(
        ["date", "y"], [[str(day), f"{number:.3f}"] for day, number in zip(DAYS, numbers, strict=False)], separator
    )
    found, notes = read(content)
    assert found.tolist() == numbers
    assert any("decimal point" in note and "task.decimal=comma" in note for note in notes)


GERMAN = "Datum;y\n01.01.2021;1.003\n02.01.2021;999\n03.01.2021;1.019\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(GERMAN, id="the export"),
        pytest.param(GERMAN.replace(";", ","), id="commas"),
        pytest.param(GERMAN.replace("999", "-999"), id="signs"),
        pytest.param(GERMAN.replace("999", "2.999"), id="no whole number"),
        pytest.param("date,y\n2021-01-01,1.003\n2021-01-02,999\n", id="ISO, but mixed"),
        pytest.param("date,y,z\n2021-01-01,1.003,52.5\n2021-01-02,999,52.5\n", id="mixed, beside decimals"),
        pytest.param(
            'date,y,a,b\n2021-01-01,1.003,0.5,"0,5"\n2021-01-02,2.003,0.5,"0,5"\n', id="columns that contradict"
        ),
    ],
)
def test_thousands_by_points_are_not_taken_for_decimals(content: str) -> None:
    assert "found '1.003', which may be 1003 (task.decimal=comma) or 1.003 (task.decimal=point)" in refusal(content)
    assert read(content.encode(), decimal="comma")[0].iloc[0] == 1003
    assert read(content.encode().replace(b'"0,5"', b"0.5"), decimal="point")[0].iloc[0] == 1.003


@pytest.mark.parametrize(
    ("decimal", "cell"), [("comma", "0.5"), ("comma", "1,003.5"), ("point", "0,5"), ("point", "1.003.004")]
)
def test_a_number_that_contradicts_the_key_is_refused(decimal: str, cell: str) -> None:
    content = f"Datum;y\n2021-01-01;1003\n2021-01-02;{cell}\n"
    assert f"my.csv, line 3, column 2 (y): found '{cell}', where a number" in refusal(content, decimal=decimal)
    assert f"(task.decimal={decimal})" in refusal(content, decimal=decimal)


by_dataset = pytest.mark.parametrize("dataset", [Series, partial(Prices, source="csv")], ids=["series", "prices"])


@by_dataset
@pytest.mark.parametrize(("key", "value"), [("decimal", "."), ("date_order", "ydm")])
def test_a_notation_that_is_not_known_is_refused_before_anything_is_read(
    dataset: Callable[..., Any], key: str, value: str
) -> None:
    with pytest.raises(UserError, match=f"task.{key} must be one of .*, got {re.escape(value)}"):
        dataset("x", path="no-such-file.csv", **{key: value}).check()


@by_dataset
def test_only_a_notation_that_is_given_is_a_part_of_the_setting(dataset: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text(GERMAN)
    plain, given_ = dataset("x", path=str(path)), dataset("x", path=str(path), decimal="comma", date_order="dmy")
    assert plain.fingerprint().keys() & {"decimal", "date_order"} == set()
    assert given_.fingerprint() == {**plain.fingerprint(), "decimal": "comma", "date_order": "dmy"}


# --- dates ------------------------------------------------------------------------------------------------------------

ORDERS = {
    "%Y-%m-%d": "ymd", "%Y%m%d": "ymd", "%y-%m-%d": "ymd", "%y/%m/%d": "ymd", "%y.%m.%d": "ymd", "%y-%b-%d": "ymd",
    "%d.%m.%Y": "dmy", "%d/%m/%Y": "dmy", "%d.%m.%y": "dmy", "%d-%m-%y": "dmy", "%d/%m/%y": "dmy", "%d-%b-%y": "dmy",
    "%m/%d/%Y": "mdy", "%m-%d-%y": "mdy", "%m/%d/%y": "mdy", "%b %d, %Y": "mdy",
}  # fmt: skip
ARRANGED: dict[str, Callable[[list[date], str], list[date]]] = {
    "oldest first": lambda days, _: sorted(days),
    "newest first": lambda days, _: sorted(days, reverse=True),
    "as text": lambda days, form: sorted(days, key=lambda day: f"{day:{form}}"),
    "as drawn": lambda days, _: days,
}


@st.composite
def drawn_days(draw: st.DrawFn) -> list[date]:
    """Within the hundred years that two digits name, 1969 to 2068."""
    first = draw(st.dates(date(1985, 1, 1), date(2008, 1, 1)))
    step = draw(st.sampled_from([1, 7, 30.44, 365.25]))
    regular = [first + timedelta(days=int(row * step)) for row in range(draw(st.integers(2, 60)))]
    return draw(
        st.one_of(
            st.just(regular),
            st.permutations(regular),
            st.lists(st.dates(first, first + timedelta(days=800)), min_size=2, max_size=30, unique=True),
        )
    )


@settings(max_examples=100, deadline=None)
@given(days=drawn_days(), form=st.sampled_from(sorted(ORDERS)), arranged=st.sampled_from(sorted(ARRANGED)))
@example(DAYS, "%y-%m-%d", "oldest first")
@example([date(2021, 1, 1) + timedelta(days=day) for day in range(365)], "%d-%m-%y", "as text")
@example(DAYS, "%y-%b-%d", "oldest first")
@example(DAYS, "%m/%d/%y", "as text")
@example([date(2001, 1, 2) + timedelta(days=day) for day in range(31)], "%y-%b-%d", "as text")  # February alone, first
def test_dates_are_read_as_they_were_written_or_refused(days: list[date], form: str, arranged: str) -> None:
    days = ARRANGED[arranged](days, form)
    rows = [[f"{day:{form}}", str(number)] for number, day in enumerate(days)]
    content = written(["date", "y"], rows, ";")
    truth = {datetime(day.year, day.month, day.day): number for number, day in enumerate(days)}
    assert read(content, date_order=ORDERS[form])[0].to_dict() == truth
    answer = found_or_refused(content)
    if isinstance(answer, str):
        assert "which may be" in answer
        assert f"task.date_order={ORDERS[form]}" in answer
    else:
        assert answer[0].to_dict() == truth


@pytest.mark.parametrize(
    ("form", "note"),
    [
        ("%d/%m/%y", "day, month, year"),
        ("%d.%m.%y", "day, month, year"),
        ("%d-%b-%y", "day, name of month, year"),
        ("%Y-%b-%d", "year, name of month, day"),
    ],
)
@pytest.mark.parametrize("newest_first", [False, True])
def test_years_of_two_digits_behind_are_seen_by_the_order_of_the_rows(form: str, note: str, newest_first: bool) -> None:
    days = DAYS[::-1] if newest_first else DAYS
    found, notes = read(written(["date", "y"], [[f"{day:{form}}", "1"] for day in days], ","))
    assert [instant.date() for instant in found.index] == DAYS
    assert f"dates read as {note}" in notes


def test_a_year_that_is_no_day_comes_first() -> None:
    found, notes = read(b"date,y\n94-01-31,1\n94-02-01,2\n")
    assert [str(instant.date()) for instant in found.index] == ["1994-01-31", "1994-02-01"]
    assert "dates read as year of two digits, month, day" in notes


@pytest.mark.parametrize(
    ("cell", "order"), [("2021-01-31", "dmy"), ("31/01/2021", "mdy"), ("31/01/2021", "ymd"), ("Jan 31, 2021", "dmy")]
)
def test_a_date_that_contradicts_the_key_is_refused(cell: str, order: str) -> None:
    like = {"ymd": "2021-01-01", "dmy": "01/02/2021", "mdy": "01/02/2021"}[order]
    for content, line in ((f"date;y\n{like};1\n{cell};2\n", 3), (f"date;y\n{cell};1\n{cell};2\n", 2)):
        said = refusal(content, date_order=order)
        assert f"my.csv, line {line}, column 1 (date): found '{cell}', which is not a date" in said
        assert f"(task.date_order={order})" in said


def test_a_day_that_does_not_exist_changes_no_order() -> None:
    """February 30 as a misprint: that it would be a day in another order is no reason to take that one."""
    days = [f"{day:%d-%m-%y}" for day in DAYS]
    days[60] = "30-02-21"
    content = written(["date", "y"], [[day, "1"] for day in days], ",")
    assert "line 62, column 1 (date): found '30-02-21', which is not a date like the others" in refusal(content)


# --- a trained net's own --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["series", "price"])
def test_a_new_table_is_read_as_that_of_training_was_said_to_be(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.integers(900, 1100, len(DAYS)).tolist()
    rows = [[f"{day:%y-%m-%d}", f"{number:,}".replace(",", ".")] for day, number in zip(DAYS, numbers, strict=False)]
    path = tmp_path / "my.csv"
    path.write_bytes(written(["Tag", "y"], rows, ";"))
    notation = {"decimal": "comma", "date_order": "ymd"}
    dataset: Any
    if kind == "series":
        dataset, task = Series("x", path=str(path), **notation), SeriesData("series", window=8, horizon=3)
    else:
        dataset, task = Prices("x", "csv", path=str(path), **notation), PriceData("price", window=8, horizon=3)
    dataset.fetch(tmp_path / "raw")
    (tmp_path / "prepared").mkdir()
    facts = task.prepare(dataset, tmp_path / "raw", tmp_path / "prepared")
    task.open(tmp_path / "prepared", {**facts, "digest": "", "setting": {"dataset": dataset.fingerprint()}}, 0)
    learnt = json.loads(json.dumps(task.state_dict()))
    task.restore(learnt)
    (table,) = read_input(str(path), task).tables
    assert table.iloc[:, 1].tolist() == numbers
    assert table["date"].iloc[-1] == datetime(2021, 7, 19)
    (table,) = read_input(str(path), task, Notation(decimal="point")).tables
    assert table.iloc[0, 1] == numbers[0] / (1000 if numbers[0] > 999 else 1)
    # of a net whose training was told nothing
    task.restore({key: value for key, value in learnt.items() if key not in notation})
    with pytest.raises(UserError, match=r"task\.date_order=ymd"):
        list(read_input(str(path), task).tables)
    with pytest.raises(UserError, match=r"task\.decimal=comma"):
        list(read_input(str(path), task, Notation(date_order="ymd")).tables)


# --- what is said of tables that cannot be read -----------------------------------------------------------------------


def grid(*parts: list[str]) -> list[list[str]]:
    rows: list[list[str]] = [[]]
    for part in parts:
        rows = [[*row, cell] for row in rows for cell in part]
    return [[*row, f"{100 + (7 * number) % 101}.{number % 97:02}"] for number, row in enumerate(rows)]


ISO = [str(day) for day in DAYS[:30]]
HOURS = [f"{hour:02}:00" for hour in range(24)]
SAME = "Rows of the same date are the same in every column: keep one of each."
UNKNOWN = "The rows differ, and no other column distinguishes them: correct the dates"


@pytest.mark.parametrize(
    ("header", "rows", "advice"),
    [
        pytest.param(
            ["date", "time", "y"],
            grid(ISO, HOURS),
            "The time of day stands in column 'time': join date and time in one column, as 2024-01-31 00:00.",
            id="time",
        ),
        pytest.param(
            ["date", "time", "y"], grid(ISO[:1], HOURS), "The time of day stands in column 'time'", id="one day"
        ),
        pytest.param(
            ["date", "at", "y"],
            grid(ISO, ["9:30:00 AM", "4:00:00 PM"]),
            "join date and time in one column, as 2024-01-31 9:30:00 AM.",
            id="AM and PM",
        ),
        pytest.param(
            ["date", "Hour", "y"],
            grid(ISO, [str(hour) for hour in range(24)]),
            "The time of day stands in column 'Hour': join date and time in one column, as 2024-01-31 00:00.",
            id="hour",
        ),
        pytest.param(
            ["date", "store", "y"],
            grid(ISO, ["A", "B", "C"]),
            "Column 'store' distinguishes several series: keep the rows of one of them, such as store A.",
            id="panel",
        ),
        pytest.param(
            ["id", "date", "y"],
            [[name, day, y] for day, name, y in grid(ISO, ["7", "8"])],
            "Column 'id' distinguishes several series",
            id="panel, by numbers and in front",
        ),
        pytest.param(
            ["date", "store", "item", "y"],
            grid(ISO, ["1", "2"], ["a", "b"]),
            "Columns 'store' and 'item' distinguish several series: keep the rows of one of them, such as store 1 and "
            "item a.",
            id="two columns",
        ),
        pytest.param(
            ["date", "time", "store", "y"],
            grid(ISO, HOURS[:4], ["A", "B"]),
            "The time of day stands in column 'time': join date and time in one column, as 2024-01-31 00:00; Column "
            "'store' distinguishes several series",
            id="time and panel",
        ),
        pytest.param(["date", "y"], [[day, "5"] for day in ISO for _ in range(2)], SAME, id="whole rows"),
        pytest.param(["date", "y"], [[day, y] for day, _, y in grid(ISO, ["1", "2"])], UNKNOWN, id="rows differ"),
        pytest.param(
            ["date", "wind", "y"], [*grid(ISO, ["3"]), [ISO[0], "4", "9"]], f"{UNKNOWN}.", id="one row, by chance"
        ),
        pytest.param(
            ["date", "y"],
            [[f"{ISO[0]} {hour}", y] for hour, y in grid([*HOURS[:3], "02:00", *HOURS[3:]])],
            "give its time zone, as 2024-10-27T02:00+01:00.",
            id="clocks set back",
        ),
    ],
)
def test_advice_on_dates_that_come_more_than_once_keeps_the_data(
    header: list[str], rows: list[list[str]], advice: str
) -> None:
    said = refusal(written(header, rows, ","))
    assert "dates more than once" in said
    assert advice in said
    assert ("keep one of each" in said) == (advice == SAME)


@pytest.mark.parametrize(("more", "advice"), [(["A", "B"], "Column 'store' distinguishes"), (["A"], None)])
def test_raw_input_with_dates_that_come_more_than_once_is_advised_too(
    more: list[str], advice: str | None, tmp_path: Path
) -> None:
    task = SeriesData("series", window=8, horizon=3)
    scaler = {"mean": [0.0], "std": [1.0]}
    task.restore({"columns": ["change of y"], "calendar": [], "missing": "previous", "target_scaler": scaler})
    table = pd.DataFrame(grid(ISO, more), columns=["date", "store", "y"])
    if advice is None:
        table = pd.concat([table, table], ignore_index=True)
    with pytest.raises(UserError, match=advice or "the same in every column: keep one of each"):
        task.read_raw(table)


@pytest.mark.parametrize("options", [[], ["hour"]])
@pytest.mark.parametrize("name", [None, "day"])
def test_a_date_over_several_columns_is_told(options: list[str], name: str | None) -> None:
    header = ["No", "year", "month", "day", *options, "y"]
    content = ",".join(header) + "\n" + "".join("1,2021,1,5," + "3," * len(options) + f"{row}\n" for row in range(3))
    with pytest.raises(UserError) as failure:
        Table.parse(content.encode(), "my.csv").series(name, "y", [])
    parts = ", ".join(f"'{part}'" for part in header[1:-1])
    assert f"my.csv spreads the date over the columns {parts}: join them into one, as 2024-01-31" in str(failure.value)


def test_a_usual_name_without_dates_does_not_hide_the_column_of_dates() -> None:
    found, notes = read(b"when,time,y\n2021-01-01,Monday,1\n2021-01-02,Tuesday,2\n")
    assert found.tolist() == [1, 2]
    assert any("'when' taken for the date" in note for note in notes)


YFINANCE = "Price,Close,Volume\nTicker,ABC,ABC\nDate,,\n2024-01-01,100.5,1000\n2024-01-02,101.5,2000\n"


@pytest.mark.parametrize("swapped", [False, True])
def test_the_three_lines_of_header_of_yfinance_are_one(swapped: bool) -> None:
    lines = YFINANCE.splitlines()
    if swapped:  # group_by="ticker"
        lines[:2] = lines[1::-1]
    table = Table.parse("\n".join(lines).encode(), "my.csv")
    frame, target = table.prices(None, None, None)
    assert target == "Close"
    assert frame[["close", "volume"]].to_numpy().tolist() == [[100.5, 1000], [101.5, 2000]]
    assert table.lines == [4, 5]
    assert any("prices of ABC" in note for note in table.notes)


def test_prices_of_several_tickers_are_refused() -> None:
    with pytest.raises(UserError, match="several tickers, ABC, XYZ: save those of one"):
        Table.parse(YFINANCE.replace("ABC,ABC", "ABC,XYZ").encode(), "my.csv")


def test_days_without_prices_are_left_out_and_said_to_be() -> None:
    content = "Date,Open,Close,Volume\n2020-01-01,1,1.5,9\n2020-01-02,null,null,null\n2020-01-03,1,2.5,9\n"
    table = Table.parse(content.encode(), "my.csv")
    frame, _ = table.prices(None, None, None)
    assert frame["close"].tolist() == [1.5, 2.5]
    assert "rows with a date and nothing else left out: 1" in table.notes
    with pytest.raises(UserError, match=r"line 3, column 3 \(Close\): found 'null', a missing value.*task=series"):
        Table.parse(content.replace("02,null", "02,1").encode(), "my.csv").prices(None, None, None)


@pytest.mark.parametrize("cell", ["1.003 €", "12 %", "#N/A", "inf", "1e999", "?", "13/13/2021"])
def test_no_message_asks_to_delete_what_may_be_in_every_line(cell: str) -> None:
    for content in (f"date,y\n2021-01-01,1\n2021-01-02,{cell}\n", f"date,y\n2021-01-01,1\n{cell},2\n"):
        with pytest.raises(UserError) as failure:
            Table.parse(content.encode(), "my.csv").series("date", "y", [], empty_cells=False)
        assert "line 3" in str(failure.value)
        assert not re.search("delete|remove|fill in", str(failure.value))


@pytest.mark.parametrize("closed", [False, True])
def test_a_quotation_mark_that_is_not_closed_swallows_no_rows(closed: bool) -> None:
    rows = [f"2024-01-{day:02},{day}.5,a" for day in range(1, 29)]
    rows[3] = f'2024-01-04,4.5,"{"x" if not closed else "x, y"}' + ('"' if closed else "")
    text = "\n".join(["date,v,c", *rows])
    if closed:
        assert len(Table.parse(text.encode(), "my.csv").rows) == 28
    else:
        with pytest.raises(UserError, match=r"my.csv, line \d+: a quotation mark is not closed"):
            Table.parse(text.encode(), "my.csv")


def test_numbers_that_distinguish_the_rows_may_be_times() -> None:
    rows = [f"2024-01-{day:02},{hour:02}00,{day + hour}" for day in range(1, 10) for hour in range(1, 25)]
    with pytest.raises(UserError, match="where 'he' says the time of day, join it with the date"):
        Table.parse("\n".join(["date,he,v", *rows]).encode(), "my.csv").series(None, "v", [])


def test_columns_that_are_not_read_are_named_however_the_others_come() -> None:
    table = Table.parse(b"date,y,rain,sun\n2020-01-01,1,2,3\n2020-01-02,2,3,4\n", "my.csv")
    assert table.unread(iter(["y", "sun"])) == ["rain"]
