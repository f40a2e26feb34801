"""Prices: from the sample, from Yahoo through the real yfinance client, and from tables of any make."""

import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnlab
from rnnlab.datasets import prices as prices_module
from rnnlab.datasets.prices import Prices, PriceTable
from rnnlab.errors import UserError
from tests.datasets.yahoo_server import Server, Yahoo, row, session_to


@pytest.fixture(autouse=True)
def _no_mirror(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    if "mirror" not in request.keywords:
        monkeypatch.delenv("RNNLAB_MIRROR", raising=False)


def dates_of(table: PriceTable) -> list[str]:
    return [str(instant)[:10] for instant in table.frame["date"].to_numpy()]


def refusal(prices: Prices) -> str:
    with pytest.raises(UserError) as failure:
        prices.check()
    return str(failure.value)


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source": "yaho"}, ["task.source must be one of sample, yahoo, csv, got yaho; did you mean 'yahoo'"]),
        (
            {"source": "sample", "symbol": "APPL"},
            ["task.symbol must be one of", "got APPL; did you mean 'AAPL'", "task.source=yahoo"],
        ),
        ({"source": "sample"}, ["task.symbol must be one of AAPL, FB, GOOG, IBM, MSFT, got null. For"]),
        (
            {"source": "sample", "symbol": "BTC-USD"},
            ["got BTC-USD.", "fetch.mirror= or RNNLAB_MIRROR", "task.source=csv task.path=my.csv"],
        ),
        ({"source": "csv"}, ["task.path is missing"]),
        ({"source": "csv", "path": "nowhere.csv"}, ["task.path=nowhere.csv", "no such file"]),
        ({"source": "csv", "path": "."}, ["task.path=.", "not a file"]),
        ({"source": "csv", "path": "s3://bucket/my.csv"}, ["s3://", "local path or http(s)"]),
        ({"source": "yahoo", "symbol": "AAPL"}, ["task.end is missing", "adjusted history changes"]),
        (
            {"source": "yahoo", "symbol": "../x", "end": "2024-01-01"},
            ["task.symbol must be one of Yahoo's", "BTC-USD", "got ../x."],
        ),
        (
            {"source": "yahoo", "symbol": "A", "end": "2024-01-01", "interval": "1w"},
            ["task.interval must be one of", "got 1w; did you mean '1wk'?"],
        ),
        ({"source": "yahoo", "symbol": "A", "end": "2024-01-01", "interval": "1h"}, ["task.start is missing", "1h"]),
        (
            {"source": "sample", "symbol": "AAPL", "end": "01/02/2024"},
            ["task.end must be an ISO date such as 2024-01-31 or null, got 01/02/2024."],
        ),
        (
            {"source": "sample", "symbol": "AAPL", "start": "2024-13-01"},
            ["task.start must be an ISO date", "got 2024-13-01."],
        ),
        (
            {"source": "sample", "symbol": "AAPL", "start": "2024-01-01", "end": "2024-01-01"},
            ["task.start must be before task.end=2024-01-01, which is left out, got 2024-01-01."],
        ),
        (
            {"source": "sample", "symbol": "AAPL", "retries": -1},
            ["task.dataset.retries must be an integer >= 0, got -1"],
        ),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], said: list[str]) -> None:
    message = refusal(Prices("p", **options))
    for part in said:
        assert part in message


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "bitcoin.csv").touch()
    assert refusal(Prices("p", source="csv", path=str(tmp_path / "bitcion.csv"))).endswith(
        "; did you mean 'bitcoin.csv'?"
    )
    assert refusal(Prices("p", source="csv", path=str(tmp_path / "xyz.csv"))).endswith(f"(from {Path.cwd()}).")


def test_import_is_cheap() -> None:
    code = "import sys, rnnlab.datasets.prices; print([m for m in ('pandas', 'numpy', 'yfinance') if m in sys.modules])"
    source = str(Path(rnnlab.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": source}, capture_output=True, check=True
    )
    assert run.stdout.strip() == b"[]"


# --- sample -----------------------------------------------------------------------------------------------------------


def test_sample_is_adjusted_and_warns_of_raw_jumps(tmp_path: Path) -> None:
    prices = Prices("aapl", source="sample", symbol="AAPL")
    prices.check()
    prices.fetch(tmp_path)
    table = prices.read(tmp_path)
    assert table.target == "Adj Close"
    assert list(table.frame.columns) == ["date", "close", "volume"]
    assert [str(kind)[:10] for kind in table.frame.dtypes] == ["datetime64", "float64", "float64"]
    assert table.frame["close"].iloc[0] == 4.186662803811
    expected = {"rows": 3270, "first": "2000-03-01", "last": "2013-03-01", "duplicates": 0, "gaps": 3}
    assert expected.items() <= table.report.items()
    assert table.report["longest_gap"] == {"after": "2001-09-10", "before": "2001-09-17", "days": 7.0}
    assert [split["date"] for split in table.report["suspected_splits"]] == ["2000-09-29"]  # a true fall
    json.dumps(table.report, allow_nan=False)

    raw = Prices("aapl", source="sample", symbol="AAPL", target="close", end="2001-01-01").read(tmp_path)
    assert raw.target == "Close"
    assert {"date": "2000-06-21", "log_return": -0.5989} in raw.report["suspected_splits"]
    assert any("possible split, not adjusted" in note and "2000-06-21" in note for note in raw.notes)

    source = json.loads((tmp_path / "source.json").read_text())
    assert (source["file"], source["via"], source["options"]["symbol"]) == ("AAPL.csv", "origin", "AAPL")
    assert "bokeh-sampledata" in source["address"]


@pytest.mark.parametrize("symbol", prices_module.SAMPLE_SYMBOLS)
def test_every_sample_symbol(tmp_path: Path, symbol: str) -> None:
    prices = Prices("p", source="sample", symbol=symbol)
    prices.fetch(tmp_path)
    assert len(prices.read(tmp_path).frame) >= 196


def test_other_options_than_fetched_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no fetched prices"):
        Prices("p", source="sample", symbol="IBM").read(tmp_path)
    Prices("p", source="sample", symbol="AAPL").fetch(tmp_path)
    with pytest.raises(UserError, match="fetched with other options"):
        Prices("p", source="sample", symbol="IBM").read(tmp_path)


def test_fingerprint_follows_content_and_options(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("date,close\n2020-01-01,1\n")
    prices = Prices("p", source="csv", path=str(path))
    first = prices.fingerprint()
    assert first == json.loads(json.dumps(first)) == Prices("p", source="csv", path=str(path), retries=9).fingerprint()
    path.write_text("date,close\n2020-01-01,2\n")
    others = [prices, Prices("p", source="csv", path=str(path), target="close"), Prices("p", "sample", symbol="IBM")]
    assert len({json.dumps(one) for one in [first, *(other.fingerprint() for other in others)]}) == 4


def test_fingerprint_and_record_hold_no_secret(tmp_path: Path) -> None:
    body = b"date,close\n2020-01-01,1\n2020-01-02,2\n"
    with Server(lambda request: request.answer(200, body)) as server:
        tokens = [f"{server.address.replace('//', '//me:hunter2@')}/my.csv?key=hunter{number}" for number in (2, 3)]
        prices, other = (Prices("p", source="csv", path=token) for token in tokens)
        prices.fetch(tmp_path)
    assert server.seen == ["/my.csv?key=hunter2"]
    assert list(prices.read(tmp_path).frame["close"]) == [1, 2]
    assert "hunter" not in json.dumps(prices.fingerprint()) + (tmp_path / "source.json").read_text()
    assert prices.fingerprint() != other.fingerprint()


# --- Yahoo ------------------------------------------------------------------------------------------------------------

DAYS = [
    row("2024-01-02T09:30:00-05:00", 187.15, 185.403412, 82488700),
    row("2024-01-03T09:30:00-05:00", 184.25, 182.630478, 58414500),
    row("2024-01-04T09:30:00-05:00", 181.91, 180.311035, 71983600),
    row("2024-01-05T09:30:00-05:00", 181.18, 179.587463, 62303300),
]
APPLE = Prices("apple", "yahoo", symbol="aapl", start="2024-01-02", end="2024-01-05", backoff_seconds=0.001, retries=3)


@pytest.fixture(autouse=True)
def _fresh_yfinance() -> Iterator[None]:
    """yfinance keeps one client, with cookies and answers, for the whole process."""
    yield
    if "yfinance" in sys.modules:
        from yfinance.data import SingletonMeta, YfData

        SingletonMeta._instances.pop(YfData, None)
        YfData.cache_get.cache_clear()


def charts(server: Server) -> list[str]:
    return [path for path in server.seen if "/chart/" in path and "period1" in path]


def test_yahoo_prices_arrive_exactly(tmp_path: Path) -> None:
    yahoo = Yahoo(DAYS)
    with Server(yahoo.respond) as server:
        APPLE.fetch(tmp_path, session=session_to(server.address))
    lines = (tmp_path / "AAPL.csv").read_text().splitlines()
    assert lines[0] == "Date,Open,High,Low,Close,Adj Close,Volume"
    assert lines[1] == "2024-01-02,187.15,280.725,93.575,187.15,185.403412,82488700"
    table = APPLE.read(tmp_path)
    assert dates_of(table) == ["2024-01-02", "2024-01-03", "2024-01-04"]  # the end is left out
    assert list(table.frame["close"]) == [185.403412, 182.630478, 180.311035]
    assert list(table.frame["volume"]) == [82488700, 58414500, 71983600]
    assert (table.target, table.notes) == ("Adj Close", ())

    source = json.loads((tmp_path / "source.json").read_text())
    from yfinance import __version__ as version

    said = {"via": "origin", "symbol": "AAPL", "interval": "1d", "start": "2024-01-02", "end": "2024-01-05"}
    assert (said | {"yfinance": version}).items() <= source.items()
    assert "splits and dividends" in source["adjusted"]
    assert datetime.now(UTC) - datetime.fromisoformat(source["retrieved_at"]) < timedelta(minutes=1)


def test_yahoo_leaves_the_process_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import yfinance

    logger = logging.getLogger("yfinance")
    monkeypatch.setattr(logger, "level", logging.INFO)
    monkeypatch.setitem(yfinance.config.debug.data, "hide_exceptions", True)
    with Server(Yahoo(DAYS).respond) as server, warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        before = list(warnings.filters)
        session = session_to(server.address)
        APPLE.fetch(tmp_path, session=session)
        unknown = Prices("p", "yahoo", symbol="A", start="2030-01-01", end="2030-01-05", retries=0)
        with pytest.raises(UserError):
            unknown.fetch(tmp_path, session=session)
        assert list(warnings.filters) == before
    assert (yfinance.config.debug.hide_exceptions, logger.level) == (True, logging.INFO)
    assert "request" not in vars(session)


def test_yahoo_intraday_is_utc(tmp_path: Path) -> None:
    hours = [row(f"2024-01-02T{hour:02}:30:00-05:00", 10.0 + hour, 10.0 + hour, 100) for hour in (9, 10, 11)]
    prices = Prices("p", "yahoo", symbol="AAPL", start="2024-01-02", end="2024-01-03", interval="1h")
    (tmp_path / "mirror" / "aapl").mkdir(parents=True)
    (tmp_path / "mirror" / "aapl" / "AAPL.csv").write_text("Date,Close\n2024-01-02,1\n")  # of days: not asked for
    with Server(Yahoo(hours, "1h").respond) as server:
        prices.fetch(tmp_path, mirror=str(tmp_path / "mirror"), session=session_to(server.address))
    table = prices.read(tmp_path)
    assert list(table.frame["date"].to_numpy("datetime64[m]").astype(str)) == [
        f"2024-01-02T{hour}:30" for hour in (14, 15, 16)
    ]
    assert list(table.frame["close"]) == [19, 20, 21]


def test_yahoo_rows_without_price_are_left_out_and_said(tmp_path: Path) -> None:
    with Server(Yahoo([*DAYS[:2], row("2024-01-04T09:30:00-05:00", None, None, 5)]).respond) as server:
        APPLE.fetch(tmp_path, session=session_to(server.address))
    table = APPLE.read(tmp_path)
    assert dates_of(table) == ["2024-01-02", "2024-01-03"]
    assert "left out 1 rows that Yahoo gave without a price" in table.notes


# yfinance asks twice within one try when the first answer is a failure
@pytest.mark.parametrize("faults", [["429"] * 2, ["500"] * 2, ["503"] * 4, ["truncated"], ["empty"], ["truncated"] * 3])
def test_yahoo_is_asked_again(tmp_path: Path, faults: list[str]) -> None:
    yahoo = Yahoo(DAYS)
    yahoo.faults = list(faults)
    with Server(yahoo.respond) as server:
        APPLE.fetch(tmp_path, session=session_to(server.address))
    assert yahoo.faults == []
    assert list(APPLE.read(tmp_path).frame["close"]) == [185.403412, 182.630478, 180.311035]


@pytest.mark.parametrize(
    ("fault", "said", "tries"),
    [
        ("429", "too many requests (HTTP 429)", 4),
        ("500", "HTTP 500", 4),
        ("truncated", "cut-off answer", 4),
        ("empty", "an answer without prices (HTTP 200)", 3),
        ("unknown", "HTTP 404", 3),
    ],
)
def test_yahoo_that_fails_for_ever(
    tmp_path: Path, fault: str, said: str, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    yahoo = Yahoo(DAYS)
    yahoo.forever = fault
    with Server(yahoo.respond) as server, pytest.raises(UserError) as failure:
        APPLE.fetch(tmp_path, session=session_to(server.address))
    for part in (said, "AAPL", "2024-01-02", "2024-01-05", "aapl/AAPL.csv", "task.source=csv task.path=my.csv"):
        assert part in str(failure.value)
    assert [path.name for path in tmp_path.iterdir()] == [".AAPL.csv.lock"]
    assert waits == [0.001, 0.002, 0.004][: tries - 1]


def test_yahoo_has_no_rows_in_the_span(tmp_path: Path) -> None:
    prices = Prices("p", "yahoo", symbol="AAPL", start="2010-01-01", end="2010-02-01", backoff_seconds=0.001)
    with Server(Yahoo(DAYS).respond) as server, pytest.raises(UserError, match="without prices"):
        prices.fetch(tmp_path, session=session_to(server.address))
    assert len(charts(server)) == 3


def test_yahoo_offline(tmp_path: Path) -> None:
    with Server(Yahoo(DAYS).respond) as server:
        address = server.address
    with pytest.raises(UserError, match="no connection") as failure:
        APPLE.fetch(tmp_path, session=session_to(address))
    assert "RNNLAB_MIRROR" in str(failure.value)
    with pytest.raises(requests.ConnectionError):
        session_to(address).get("https://query2.finance.yahoo.com/")


@pytest.mark.parametrize(
    ("options", "ways"),
    [
        ({"symbol": "BTC-USD"}, ["mirror"]),
        ({"symbol": "aapl", "start": "2010-01-01"}, ["mirror", "sample"]),
        ({"symbol": "AAPL", "start": "2014-01-01"}, ["mirror"]),  # the sample ends before
        ({"symbol": "AAPL", "start": "2023-12-01", "interval": "1h"}, []),  # both hold days
    ],
)
def test_what_yahoo_s_error_advises_works(tmp_path: Path, options: dict[str, str], ways: list[str]) -> None:
    prices = Prices("p", "yahoo", end="2024-01-05", retries=0, **options)
    with Server(Yahoo(DAYS).respond) as server:
        address = server.address
    with pytest.raises(UserError) as failure:
        prices.fetch(tmp_path, session=session_to(address))
    message = str(failure.value)
    symbol = options["symbol"].upper()
    mirror = f"holds {symbol.lower()}/{symbol}.csv (fetch.mirror= or RNNLAB_MIRROR)"
    told = {"mirror": mirror in message, "sample": "task.source=sample (up to 2013-03-01" in message}
    assert [way for way, is_told in told.items() if is_told] == ways
    assert message.endswith("give your own table (task.source=csv task.path=my.csv).")


def test_yahoo_needs_no_home(tmp_path: Path) -> None:
    """yfinance keeps SQLite files in the user's cache folder, which may be read-only."""
    code = (
        "import sys; from pathlib import Path; from tests.datasets.test_prices import APPLE, session_to\n"
        "APPLE.fetch(Path(sys.argv[1]), session=session_to(sys.argv[2]))"
    )
    home = tmp_path / "home"
    home.mkdir()
    paths = os.pathsep.join([str(Path(rnnlab.__file__).parents[1]), str(Path(__file__).parents[2])])
    environment = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home), "PYTHONPATH": paths}
    with Server(Yahoo(DAYS).respond) as server:
        command = [sys.executable, "-c", code, str(tmp_path), server.address]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert list(home.iterdir()) == []
    assert (tmp_path / "AAPL.csv").is_file()


def test_mirror_is_asked_before_yahoo_and_its_span_is_said(tmp_path: Path) -> None:
    kept = tmp_path / "mirror" / "btc-usd" / "BTC-USD.csv"
    kept.parent.mkdir(parents=True)
    days = [date(2020, 1, 1) + timedelta(days=count) for count in range(60)]
    kept.write_text("Date,Close,Adj Close,Volume\n" + "".join(f"{day},2,{1 + day.day},3\n" for day in days))
    prices = Prices("bitcoin", "yahoo", symbol="BTC-USD", start="2020-01-10", end="2021-01-01")
    prices.fetch(tmp_path, mirror=str(tmp_path / "mirror"), session=session_to("http://127.0.0.1:1"))
    table = prices.read(tmp_path)
    assert (dates_of(table)[0], dates_of(table)[-1]) == ("2020-01-10", "2020-02-29")
    assert table.frame["close"].iloc[0] == 11
    assert any("covers 2020-01-01 to 2020-02-29 only" in note for note in table.notes)
    assert json.loads((tmp_path / "source.json").read_text())["via"] == "mirror"
    within = Prices("bitcoin", "yahoo", symbol="BTC-USD", start="2020-01-10", end="2020-02-01")
    within.fetch(tmp_path, mirror=str(tmp_path / "mirror"))
    assert within.read(tmp_path).notes == ()


@pytest.mark.mirror
def test_bitcoin_of_the_mirror(tmp_path: Path) -> None:
    if not os.environ.get("RNNLAB_MIRROR"):
        pytest.skip("RNNLAB_MIRROR is not set")
    prices = Prices("bitcoin", "yahoo", symbol="BTC-USD", end="2024-04-01")
    prices.fetch(tmp_path)
    table = prices.read(tmp_path)
    expected = {"rows": 3484, "first": "2014-09-17", "last": "2024-03-31", "gaps": 0, "suspected_splits": []}
    assert expected.items() <= table.report.items()
    assert (table.frame["close"].iloc[0], table.frame["volume"].iloc[0]) == (457.334015, 21056800)
    assert table.notes == ()


# --- tables of any make -----------------------------------------------------------------------------------------------


def read_csv(folder: Path, content: str | bytes, **options: Any) -> PriceTable:
    path = folder / "my.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    prices = Prices("p", source="csv", path=str(path), **options)
    prices.check()
    prices.fetch(folder / "raw")
    return prices.read(folder / "raw")


ISO = ["2020-01-01", "2020-01-02", "2020-01-03"]
PLAIN = "Date,Close\n2020-01-01,1.5\n2020-01-02,2.5\n2020-01-03,3.5\n"
UMLAUT = PLAIN.replace("Close", "Close,Börse").replace(".5\n", ".5,x\n")


@pytest.mark.parametrize(
    ("content", "options", "closes", "notes"),
    [
        pytest.param(PLAIN, {}, [1.5, 2.5, 3.5], [], id="plain"),
        pytest.param(PLAIN.replace("\n", "\r\n"), {}, [1.5, 2.5, 3.5], [], id="Windows line ends"),
        pytest.param(PLAIN.replace("\n", "\n\n"), {}, [1.5, 2.5, 3.5], [], id="blank lines"),
        pytest.param(PLAIN.encode("utf-8-sig"), {}, [1.5, 2.5, 3.5], ["byte-order mark"], id="byte-order mark"),
        pytest.param(PLAIN.encode("utf-16"), {}, [1.5, 2.5, 3.5], ["UTF-16"], id="UTF-16"),
        pytest.param(UMLAUT, {}, [1.5, 2.5, 3.5], [], id="UTF-8"),
        pytest.param(UMLAUT.encode("cp1252"), {}, [1.5, 2.5, 3.5], ["Windows-1252"], id="Windows-1252"),
        pytest.param(PLAIN.replace(",", ";"), {}, [1.5, 2.5, 3.5], ["separated by semicolons"], id="semicolon"),
        pytest.param(PLAIN.replace(",", "\t"), {}, [1.5, 2.5, 3.5], ["separated by tabs"], id="tab"),
        pytest.param(
            PLAIN.replace(",", ";").replace(".", ","),
            {},
            [1.5, 2.5, 3.5],
            ["semicolons", "decimal comma"],
            id="decimal comma",
        ),
        pytest.param(
            "Date;Open, USD;Close\n2020-01-01;1,5;1,5\n2020-01-02;1,5;2,5\n2020-01-03;1,5;3,5\n",
            {},
            [1.5, 2.5, 3.5],
            ["semicolons", "decimal comma"],
            id="as many commas as semicolons",
        ),
        pytest.param(
            'Date,Close\n2020-01-01,"1,234.5"\n2020-01-02,"12,345,678"\n2020-01-03,999\n',
            {},
            [1234.5, 12345678, 999],
            ["thousands separators"],
            id="thousands",
        ),
        pytest.param(
            "Date;Close\n2020-01-01;1.234,5\n2020-01-02;12.345.678\n2020-01-03;999\n",
            {},
            [1234.5, 12345678, 999],
            ["semicolons", "decimal comma", "thousands separators"],
            id="thousands by points",
        ),
        pytest.param(
            "Date;Close\n2020-01-01;1 234,5\n2020-01-02;2\u00a0345\n2020-01-03;999\n",
            {},
            [1234.5, 2345, 999],
            ["semicolons", "decimal comma", "thousands separators"],
            id="thousands by spaces",
        ),
        pytest.param(
            'Date,Open,Close\n2020-01-01,0.5,"1,234"\n2020-01-02,0.5,"2,345"\n2020-01-03,0.5,"3,456"\n',
            {},
            [1234, 2345, 3456],
            ["thousands separators"],
            id="another column settles the comma",
        ),
        pytest.param(
            "Date;Close;Volume\n2020-01-01;1.234;1.234.567\n2020-01-02;2.345;1\n2020-01-03;3.456;1\n",
            {},
            [1234, 2345, 3456],
            ["semicolons", "thousands separators"],
            id="another column settles the point",
        ),
        pytest.param(
            "Date,Close\n2020-01-01,1.234\n2020-01-02,2.345\n2020-01-03,3e-1\n",
            {},
            [1.234, 2.345, 0.3],
            ["numbers such as 1.234 read with a decimal point; where it groups thousands: task.decimal=comma"],
            id="1.234",
        ),
        pytest.param(
            "Date,Close\n2020-01-03,3.5\n2020-01-02,2.5\n2020-01-01,1.5\n",
            {},
            [1.5, 2.5, 3.5],
            ["sorted by date; they came newest first"],
            id="newest first",
        ),
        pytest.param(
            "Date,Close\n2020-01-02,2.5\n2020-01-03,3.5\n2020-01-01,1.5\n",
            {},
            [1.5, 2.5, 3.5],
            ["they came unsorted"],
            id="unsorted",
        ),
        pytest.param(
            PLAIN.replace("Date,Close", " DATE , adj. close "),
            {},
            [1.5, 2.5, 3.5],
            ["'DATE' taken for 'date'", "'adj. close' taken for 'adjclose'"],
            id="names in another case",
        ),
        pytest.param(
            "Date,Close,Adj_Close\n2020-01-01,1,1.5\n2020-01-02,2,2.5\n2020-01-03,3,3.5\n",
            {},
            [1.5, 2.5, 3.5],
            ["'Adj_Close' taken for 'adjclose'"],
            id="adjusted first",
        ),
        pytest.param(
            "Date,Close,Mid Price\n2020-01-01,1,1.5\n2020-01-02,2,2.5\n2020-01-03,3,3.5\n",
            {"target": "mid price"},
            [1.5, 2.5, 3.5],
            ["'Mid Price' taken for 'mid price'"],
            id="target asked",
        ),
        pytest.param(
            "when,price\n2020-01-01,1.5\n2020-01-02,2.5\n2020-01-03,3.5\n",
            {},
            [1.5, 2.5, 3.5],
            ["'when' taken for the date", "'price' taken for the price"],
            id="columns found by content",
        ),
        pytest.param(
            "Date,Close,settled\n2020-01-01,1.5,2021-01-01\n2020-01-02,2.5,2021-01-02\n2020-01-03,3.5,2021-01-03\n",
            {"date": "Date"},
            [1.5, 2.5, 3.5],
            [],
            id="date asked",
        ),
        pytest.param(
            "Date,20230101,700\n2020-01-01,1.5,19991231\n2020-01-02,2.5,2\n2020-01-03,3.5,3\n",
            {"target": "20230101"},
            [1.5, 2.5, 3.5],
            [],
            id="columns named by digits",
        ),
        pytest.param(
            ",2020-01-01,2020-02-01\n2020-01-01,1.5,1\n2020-01-02,2.5,2\n2020-01-03,3.5,3\n",
            {"target": "2020-01-01"},
            [1.5, 2.5, 3.5],
            ["'' taken for the date"],
            id="columns named by dates",
        ),
        pytest.param(
            "Date,Close,Volume\n2020-01-01,1.5,many\n2020-01-02,2.5,2\n2020-01-03,3.5,3\n",
            {},
            [1.5, 2.5, 3.5],
            ["volumes left out: ", "line 2, column 3 (Volume): found 'many'"],
            id="unusable volume",
        ),
    ],
)
def test_tables_that_are_read(
    tmp_path: Path, content: str | bytes, options: dict[str, Any], closes: list[float], notes: list[str]
) -> None:
    table = read_csv(tmp_path, content, **options)
    assert dates_of(table) == ISO
    assert list(table.frame["close"]) == closes
    told = [note for note in table.notes if "possible split" not in note]
    assert len(told) <= len(notes), told
    for part in notes:
        assert any(part in note for note in told), told


@pytest.mark.parametrize(
    ("written", "note"),
    [
        (["2020/01/11", "2020/01/12", "2020/01/13"], None),
        (["2020-1-11", "2020-1-12", "2020-1-13"], None),
        (["20200111", "20200112", "20200113"], "without separators"),
        (["11/01/2020", "12/01/2020", "13/01/2020"], "day, month, year"),
        (["01/11/2020", "01/12/2020", "01/13/2020"], "month, day, year"),
        (["11.01.2020", "12.01.2020", "13.01.2020"], "day, month, year"),
        (["1/11/20", "1/12/20", "1/13/20"], "month, day, year"),
        (["11-Jan-2020", "12-Jan-2020", "13-Jan-2020"], "name of month"),
        (["Jan 11, 2020", "Jan 12, 2020", "Jan 13, 2020"], "name of month"),
        (["11 January 2020", "12 January 2020", "13 January 2020"], "name of month"),
        (["1578700800", "1578787200", "1578873600"], "since 1970"),
        (["1578700800000", "1578787200000", "1578873600000"], "since 1970"),
        (["2020-01-11T00:00:00Z", "2020-01-12T00:00:00Z", "2020-01-13T00:00:00Z"], None),
        (["2020-01-10 19:00:00-05:00", "2020-01-11 19:00:00-05:00", "2020-01-12 19:00:00-05:00"], "converted to UTC"),
        (["1/11/2020 12:00 AM", "1/12/2020 12:00 AM", "1/13/2020 12:00 AM"], "month, day, year"),
    ],
)
def test_dates_that_are_read(tmp_path: Path, written: list[str], note: str | None) -> None:
    content = "Date;Close\n" + "".join(f"{day};{close}.5\n" for close, day in enumerate(written, start=10))
    table = read_csv(tmp_path, content)
    instants = [np.datetime64(f"2020-01-{day}") for day in (11, 12, 13)]
    assert list(table.frame["date"].to_numpy()) == instants
    assert [line for line in table.notes if "semicolon" not in line] == [
        line for line in table.notes if note is not None and note in line
    ]
    assert (note is None) or any(note in line for line in table.notes)


@pytest.mark.parametrize("mark", ["-", "/"])
@pytest.mark.parametrize(("name", "options"), [("Month", {}), ("Month", {"date": "Month"}), ("date", {})])
def test_months_are_dates(tmp_path: Path, mark: str, name: str, options: dict[str, str]) -> None:
    months = [f"1949{mark}{month:02d}" for month in range(1, 13)]
    content = f"{name},Close\n" + "".join(f"{month},{close}\n" for close, month in enumerate(months, 1))
    table = read_csv(tmp_path, content, **options)
    assert dates_of(table) == [f"1949-{month:02d}-01" for month in range(1, 13)]
    assert "dates read as year, month" in table.notes


@pytest.mark.parametrize("written", ["1949-13", "1949-1", "1949-00", "1949-20", "49-01"])
def test_what_may_be_no_month_is_none(tmp_path: Path, written: str) -> None:
    with pytest.raises(UserError, match=f"'{written}', which is not a date"):
        read_csv(tmp_path, f"Date,Close\n{written},1\n", date="Date")


def test_day_and_month_alike_settle_nothing_and_need_not(tmp_path: Path) -> None:
    assert dates_of(read_csv(tmp_path, "Date,Close\n01/01/2020,1\n02/02/2020,2\n")) == ["2020-01-01", "2020-02-02"]


def test_file_of_the_users_own_is_never_taken_from_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mirror" / "p").mkdir(parents=True)
    (tmp_path / "mirror" / "p" / "my.csv").write_text("Date,Close\n2020-01-01,9\n")
    monkeypatch.setenv("RNNLAB_MIRROR", str(tmp_path / "mirror"))
    assert list(read_csv(tmp_path, PLAIN).frame["close"]) == [1.5, 2.5, 3.5]


def test_time_of_day_is_kept(tmp_path: Path) -> None:
    table = read_csv(tmp_path, "time,close\n1/13/2020 1:05 PM,1\n1/13/2020 1:06:07.25 PM,2\n")
    assert [str(instant) for instant in table.frame["date"]] == ["2020-01-13 13:05:00", "2020-01-13 13:06:07.250000"]


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        pytest.param("", {}, ["my.csv is empty"], id="empty"),
        pytest.param(" \n\n", {}, ["my.csv is empty"], id="blank"),
        pytest.param(b"\xef\xbb\xbf", {}, ["my.csv is empty"], id="only a byte-order mark"),
        pytest.param("Date,Close\n", {}, ["a header and no rows"], id="header only"),
        pytest.param(",,,\n,,,\n", {}, ["a header and no rows"], id="separators only"),
        pytest.param("Date\n2020-01-01\n", {}, ["line 1", "one column"], id="one column"),
        pytest.param(
            "\n2023-01-01,102.576\n2023-01-02,103.5\n", {}, ["line 2", "'2023-01-01'", "no header"], id="no header"
        ),
        pytest.param("AAPL,2/1/2023,5\nAAPL,3/1/2023,6\n", {}, ["line 1", "'2/1/2023'", "no header"], id="none, text"),
        pytest.param("20230101;1,5\n20230102;2,5\n", {}, ["'20230101'", "no header"], id="none, dates of digits"),
        pytest.param("2023-01,5\n2023-02,6\n", {}, ["'2023-01'", "no header"], id="none, months"),
        pytest.param('{"Date": "' + "x" * 200_000 + '"}', {}, ["line 1", "one column"], id="one endless line"),
        pytest.param(bytes(range(256)), {}, ["my.csv is not text"], id="binary"),
        pytest.param(b"\x1f\x8b\x08rest", {}, ["packed file or a spreadsheet"], id="gzip"),
        pytest.param(b"PK\x03\x04rest", {}, ["packed file or a spreadsheet"], id="xlsx"),
        pytest.param("a,b\n1,2\n3,4\n", {}, ["no date column", "'a', 'b'", "task.date=NAME"], id="no date column"),
        pytest.param(
            "a,b,Close\n2020-01-01,2020-01-01,1\n", {}, ["several columns of dates", "task.date"], id="two of dates"
        ),
        pytest.param(PLAIN, {"date": "Dato"}, ["no column 'Dato'", "did you mean 'Date'"], id="no such date column"),
        pytest.param(
            PLAIN, {"target": "Closs"}, ["no column 'Closs' (task.target)", "did you mean 'Close'"], id="no such target"
        ),
        pytest.param(PLAIN, {"volume": "Volume"}, ["no column 'Volume' (task.volume)"], id="no such volume"),
        pytest.param("Date,a,b\n2020-01-01,1,2\n", {}, ["no column 'close'", "task.target=NAME"], id="no close"),
        pytest.param("Date,CLOSE,Close\n2020-01-01,1,2\n", {}, ["2 columns named"], id="two closes"),
        pytest.param(
            "Date,Close\n2020-01-01,1\n\nsoon,2\n",
            {},
            ["my.csv, line 4, column 1 (Date): found 'soon'", "not a date"],
            id="unparsable date",
        ),
        pytest.param("Date,Close\nnow,1\nsoon,2\n", {}, ["line 2, column 1", "2024-01-31"], id="no dates at all"),
        pytest.param("Date,Close\n2020-01-31,1\n2020-02-30,2\n", {}, ["line 3", "'2020-02-30'"], id="February 30"),
        pytest.param(
            "Date,Close\n03/04/2020,1\n05/06/2020,2\n",
            {},
            ["line 2", "'03/04/2020'", "2020-04-03 (task.date_order=dmy) or 2020-03-04 (task.date_order=mdy)"],
            id="03/04/2020",
        ),
        pytest.param(
            "Date,Close\n03/04/2020 10:00:00.5,1\n05/06/2020 10:00:00.5,2\n",
            {},
            ["line 2", "'03/04/2020 10:00:00.5'", "task.date_order=dmy"],
            id="03/04/2020 with a fraction of a second",
        ),
        pytest.param("Date,Close\n13/04/2020,1\n04/13/2020,2\n", {}, ["line 3", "'04/13/2020'"], id="both orders"),
        pytest.param(
            "Date,Close\n2020-01-01T00:00:00Z,1\n2020-01-02T00:00:00,2\n",
            {},
            ["line 3", "without a time zone"],
            id="some zones",
        ),
        pytest.param(
            "Date,Close\n2020-01-01,1\n2020-01-02,abc\n",
            {},
            ["my.csv, line 3, column 2 (Close): found 'abc'", "where a number belongs"],
            id="text",
        ),
        pytest.param("Date,Close\n2020-01-01,1\n2020-01-02,nan\n", {}, ["line 3, column 2", "missing"], id="NaN"),
        pytest.param("Date,Close\n2020-01-01,1\n2020-01-02,\n", {}, ["line 3, column 2", "missing"], id="missing"),
        pytest.param("Date,Close\n2020-01-01,1\n2020-01-02,-inf\n", {}, ["line 3", "infinite"], id="infinite"),
        pytest.param("Date,Close\n2020-01-01,1\n2020-01-02,1e999\n", {}, ["line 3", "too large"], id="1e999"),
        pytest.param("Date,Close\n2020-01-01,0\n2020-01-02,1\n", {}, ["line 2", "found '0'", "above zero"], id="zero"),
        pytest.param("Date,Close\n2020-01-01,1\n2020-01-02,-3\n", {}, ["line 3", "'-3'", "above zero"], id="negative"),
        pytest.param(
            "Date,Close\n2020-01-02,1\n2020-01-01,1\n2020-01-02,2\n",
            {},
            ["more than once: 2020-01-02 (lines 2, 4)"],
            id="duplicate dates",
        ),
        pytest.param("Date,Close\n2020-01-01,1\n2020-01-02,1,5\n", {}, ["line 3", "3 fields", "2"], id="ragged"),
        pytest.param(
            'Date,Close\n2020-01-01,"1,234"\n2020-01-02,"2,345"\n',
            {},
            ["line 2, column 2", "'1,234'", "1.234 (task.decimal=comma) or 1234 (task.decimal=point)"],
            id="ambiguous comma",
        ),
        pytest.param(
            'Date,Close\n2020-01-01,1.5\n2020-01-02,2.5\n2020-01-03,"3,5"\n', {}, ["line 4", "'3,5'"], id="both marks"
        ),
        pytest.param(
            "Date,Close,Volume\n2020-01-01,1,-5\n", {"volume": "Volume"}, ["line 2, column 3", "'-5'"], id="bad volume"
        ),
        pytest.param(PLAIN, {"start": "2021-01-01"}, ["no rows", "2020-01-01 to 2020-01-03"], id="nothing in the span"),
    ],
)
def test_tables_that_are_refused(
    tmp_path: Path, content: str | bytes, options: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(UserError) as failure:
        read_csv(tmp_path, content, **options)
    for part in said:
        assert part in str(failure.value)
    assert "\n" not in str(failure.value)


def test_span_is_cut_and_gaps_are_counted(tmp_path: Path) -> None:
    days = [date(2020, 1, 1) + timedelta(days=count) for count in range(30) if count not in (10, 11, 20)]
    content = "Date,Close\n" + "".join(f"{day},5\n" for day in days)
    table = read_csv(tmp_path, content, start="2020-01-02", end="2020-01-30")
    assert (dates_of(table)[0], dates_of(table)[-1]) == ("2020-01-02", "2020-01-29")
    assert table.report["gaps"] == 2
    assert table.report["longest_gap"] == {"after": "2020-01-10", "before": "2020-01-13", "days": 3.0}
    assert any("gaps in the dates: 2" in note for note in table.notes)


@pytest.mark.parametrize(
    ("closes", "found"),
    [
        ([100, 50, 51], 1),  # two for one
        ([100, 66.8, 67], 1),  # three for two
        ([10, 100, 101], 1),  # one for ten
        ([100, 64, 66], 0),  # a fall of 36 %, no ratio near
        ([100, 63, 62], 0),
        ([100, 60, 62], 1),  # a fall of 40 %, beyond 0.5
        ([100, 104, 99], 0),
    ],
)
def test_jumps_are_told_from_moves(tmp_path: Path, closes: list[float], found: int) -> None:
    content = "Date,Close\n" + "".join(f"{day},{close}\n" for day, close in zip(ISO, closes, strict=True))
    table = read_csv(tmp_path, content)
    assert [split["date"] for split in table.report["suspected_splits"]] == ISO[1:2] * found
    assert any("possible split" in note for note in table.notes) == bool(found)


def test_many_jumps_are_counted_and_the_largest_listed(tmp_path: Path) -> None:
    closes = [1, 2, 1, 3, 1, 4, 1, 5]  # steps of ln 2, 2, 3, 3, 4, 4, 5
    content = "Date,Close\n" + "".join(f"2020-01-{day:02},{close}\n" for day, close in enumerate(closes, start=1))
    table = read_csv(tmp_path, content)
    assert table.report["suspected_splits_count"] == 7
    jumps = [split["log_return"] for split in table.report["suspected_splits"]]
    assert jumps == [1.6094, 1.3863, -1.3863, 1.0986, -1.0986]
    assert any("and 2 smaller" in note for note in table.notes)


DATE_STYLES = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%Y%m%d", "%d %b %Y", "%B %d, %Y")


@settings(max_examples=60, deadline=None)
@given(
    days=st.lists(
        st.dates(min_value=date(1950, 1, 1), max_value=date(2150, 1, 1)), min_size=1, max_size=12, unique=True
    ),
    data=st.data(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    style=st.sampled_from(DATE_STYLES),
    decimal_comma=st.booleans(),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_dialect_reads_back_the_same_numbers(
    tmp_path_factory: pytest.TempPathFactory,
    days: list[date],
    data: st.DataObject,
    encoding: str,
    separator: str,
    style: str,
    decimal_comma: bool,
    line_end: str,
) -> None:
    closes = data.draw(
        st.lists(st.floats(min_value=1e-6, max_value=1e9), min_size=len(days), max_size=len(days)), label="closes"
    )
    volumes = data.draw(st.lists(st.integers(0, 10**12), min_size=len(days), max_size=len(days)), label="volumes")

    def written(value: str) -> str:
        return f'"{value}"' if separator in value else value

    # four decimals: a comma before three might group thousands, which is refused
    closes = [max(round(close, 4), 0.0001) for close in closes] if decimal_comma else closes
    numbers = [f"{close:.4f}".replace(".", ",") if decimal_comma else repr(close) for close in closes]
    cells = [
        [written(day.strftime(style)), written(number), str(volume), "Zürich"]
        for day, number, volume in zip(days, numbers, volumes, strict=True)
    ]
    text = line_end.join(separator.join(row) for row in [["Date", "Close", "Volume", "Börse"], *cells]) + line_end
    table = read_csv(tmp_path_factory.mktemp("table"), text.encode(encoding))

    expected = sorted(zip(days, closes, volumes, strict=True))
    assert dates_of(table) == [str(day) for day, _, _ in expected]
    assert list(table.frame["close"]) == [close for _, close, _ in expected]
    assert list(table.frame["volume"]) == [volume for _, _, volume in expected]
