"""Local HTTP servers for tests: one that a test scripts, and on it one that speaks Yahoo's chart format."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter

NEW_YORK = "America/New_York"


class Request(BaseHTTPRequestHandler):
    """One request; a test's function answers it through `answer`."""

    def answer(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        with suppress(BrokenPipeError, ConnectionResetError):  # a client that was killed
            self.server.respond(self)
        self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass


class Server:
    """Serves `respond(request)` on 127.0.0.1 while the block lasts; `seen` has the paths that were asked for."""

    def __init__(self, respond: Callable[[Request], None]) -> None:
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Request)
        self.http.daemon_threads = True
        self.http.block_on_close = False
        self.http.respond = respond
        self.seen: list[str] = []
        self.http.seen = self.seen
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self) -> "Server":
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.http.shutdown()
        self.http.server_close()


class Yahoo:
    """Answers chart requests with `rows`; each entry of `faults` spoils one request first, `forever` all of them."""

    def __init__(self, rows: list[dict[str, Any]], interval: str = "1d") -> None:
        self.rows = rows
        self.interval = interval
        self.faults: list[str] = []
        self.forever: str | None = None

    def respond(self, request: Request) -> None:
        url = urlsplit(request.path)
        if "/v8/finance/chart/" not in url.path:
            request.answer(404, b"{}")
            return
        fault = self.forever or (self.faults.pop(0) if self.faults else None)
        query = parse_qs(url.query)
        first, end = (int(query.get(key, [fallback])[0]) for key, fallback in (("period1", "0"), ("period2", "9" * 11)))
        rows = [row for row in self.rows if first <= row["timestamp"] < end]
        body = json.dumps(chart(url.path.rpartition("/")[2], rows, self.interval)).encode()
        if fault is None:
            request.answer(200, body)
        elif fault == "truncated":
            request.answer(200, body[: len(body) // 2])
        elif fault == "empty":
            request.answer(200, b'{"chart": {"result": [], "error": null}}')
        elif fault == "unknown":
            error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            request.answer(404, json.dumps({"chart": {"result": None, "error": error}}).encode())
        else:
            request.answer(int(fault), b"Edge: Too Many Requests" if fault == "429" else b"<html>broken</html>")


def chart(symbol: str, rows: list[dict[str, Any]], interval: str) -> dict[str, Any]:
    """The JSON of /v8/finance/chart/<symbol>."""
    stamps = [row["timestamp"] for row in rows]
    day = {"timezone": "EST", "start": stamps[0] - 60, "end": stamps[-1] + 86_400, "gmtoffset": -18_000} if rows else {}
    meta = {
        "symbol": symbol,
        "currency": "USD",
        "instrumentType": "EQUITY",
        "exchangeTimezoneName": NEW_YORK,
        "timezone": "EST",
        "gmtoffset": -18_000,
        "dataGranularity": interval,
        "validRanges": ["1d", "5d", "1mo", "max"],
        "tradingPeriods": [[day]],
    }
    columns = ("open", "high", "low", "close", "volume")
    indicators = {
        "quote": [{column: [row[column] for row in rows] for column in columns}],
        "adjclose": [{"adjclose": [row["adjclose"] for row in rows]}],
    }
    return {"chart": {"result": [{"meta": meta, "timestamp": stamps, "indicators": indicators}], "error": None}}


def row(instant: str, close: float | None, adjclose: float | None, volume: int | None) -> dict[str, Any]:
    """One bar; `instant` is ISO with its offset."""
    high, low = (None, None) if close is None else (close * 1.5, close * 0.5)
    stamp = int(datetime.fromisoformat(instant).astimezone(UTC).timestamp())
    prices = {"open": close, "high": high, "low": low, "close": close, "adjclose": adjclose}
    return {"timestamp": stamp, "volume": volume} | prices


class _ToLocal(HTTPAdapter):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.local = urlsplit(address)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        url = urlsplit(str(request.url))
        assert str(url.hostname).endswith("yahoo.com"), url
        request.url = urlunsplit((self.local.scheme, self.local.netloc, url.path, url.query, ""))
        return super().send(request, *args, **kwargs)


def session_to(address: str) -> requests.Session:
    """A session that reaches `address` under the names of Yahoo's hosts."""
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", _ToLocal(address))
    return session
