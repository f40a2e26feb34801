"""Of an address nothing is shown or kept but scheme, host, port and path."""

import re
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from itertools import repeat
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rnnlab.addresses import shown, without_secrets
from rnnlab.config.stages import compose_task
from rnnlab.data.tables.user_table import OwnTable
from rnnlab.errors import UserError
from rnnlab.search.space import distributions
from rnnlab.tracking.live import reason
from tests.conftest import Outcome, Run
from tests.test_bad_input import GOOD, HEADER
from tests.training.test_train import serving

MARK = "5ECRET"
"""In every secret part."""


def secret(alphabet: str) -> st.SearchStrategy[str]:
    return st.tuples(st.text(alphabet, max_size=4), st.text(alphabet, max_size=4)).map(
        lambda parts: f"{parts[0]}{MARK}{parts[1]}z"
    )


PLAIN = "aZ09-._~%+,;&="
schemes = st.sampled_from(["http", "HTTPS", "postgresql+psycopg2", "s3"])
hosts = st.sampled_from(["localhost", "data.example.org", "127.0.0.1", "[::1]", "[fe80::1%25eth0]"])
ports = st.sampled_from(["", ":80", ":65535"])
paths = st.from_regex(r"(/[a-z0-9_.%-]{1,6}){0,3}", fullmatch=True).map(lambda path: path + "/a" if path else "")
queries = st.one_of(st.just(""), secret(PLAIN + "?/:").map("?X-Amz-Signature={}".format))
fragments = st.one_of(st.just(""), secret(PLAIN).map("#{}".format))
ways = st.sampled_from(
    ["{}", "at {}: no", "(see {}).", "task.path='{}'", '"task.path={}"', "['a={}', 'b=1']", "{}, {}"]
)


@example("http", "5ECRETz", None, "[::1]", "", "", "", "", "{}")
@given(schemes, secret(PLAIN), st.none() | secret(PLAIN + "/:?#"), hosts, ports, paths, queries, fragments, ways)
def test_no_secret_survives_and_host_and_path_do(
    scheme: str,
    user: str,
    password: str | None,
    host: str,
    port: str,
    path: str,
    query: str,
    fragment: str,
    way: str,
) -> None:
    """Also of a password that was not percent-encoded."""
    login = user if password is None else f"{user}:{password}"
    assume(not re.search("[,;][^,;]*://", login))  # two addresses, to any reader: http://me;you://word@host
    address = f"{scheme}://{login}@{host}{port}{path}{query}{fragment}"
    text = way.format(address, address)
    if password is None or not password[0].isdigit() or scheme.lower() not in ("http", "https"):
        assert MARK not in without_secrets(text)
        assert MARK not in shown(text)
    if password is None or not set("/?#") & set(password):
        assert without_secrets(text) == way.format(*[f"{scheme}://{host}{port}{path}"] * 2)


@given(secret(PLAIN + "/:?#@"), secret(PLAIN + "/:?#@ '"))
def test_no_password_survives_wherever_an_at_sign_stands(password: str, query: str) -> None:
    address = f"postgresql://me:{password}@host/runs?options={query}"
    assert MARK not in shown(address)
    assert MARK not in shown(f"tracking.uri={address}")


@pytest.mark.parametrize(
    "text",
    [
        "models:/rnnlab-price@champion",
        "model=models:/rnnlab-price@champion of runs:/0a1b/net@2",
        "runs:/0a1b/model",
        "pictures/file@2x.png and me@example.org",
        "sqlite:////a/mlflow.db",
        "sqlite:///C:\\runs\\mlflow.db",
        "http://host:80/a@b and me@host",
        "http://127.0.0.1:5000: refused",
        "is data/my@file?.csv there?",
    ],
)
def test_what_has_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == shown(text) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("http:/me:pw@host/a.csv?b", "http:/host/a.csv"),  # as pathlib writes it
        ("(url: /a.csv?sig=x (Caused by y))", "(url: /a.csv (Caused by y))"),  # as urllib3 does
        ("task.path='http://me:p w@host/my a.csv?b' cell=rnn", "task.path='http://host/my a.csv' cell=rnn"),
        ("http://token@host/a?b,http://host/c#d", "http://host/a,http://host/c"),
        ("http://me:p@w/d@host/a", "http://***"),
        ("checkpoint=s3:/KEY:pw@bucket/x.ckpt is not a file", "checkpoint=s3:/bucket/x.ckpt is not a file"),
    ],
)
def test_addresses_in_other_ways_of_writing(text: str, kept: str) -> None:
    assert without_secrets(text) == kept


def test_a_value_with_spaces_is_an_address_to_its_end() -> None:
    assert shown("task.path=http://me:p w@host/my a.csv?sig=x y") == "task.path=http://host/my a.csv"


def test_addresses_that_differ_in_their_query_are_different_tables() -> None:
    one, other = (OwnTable(f"http://host/a.csv?symbol={symbol}").identity() for symbol in ("A", "B"))
    assert one["path"] == other["path"] == "http://host/a.csv"
    assert one != other


def test_a_driver_s_own_text_is_left_out_where_the_address_has_secrets() -> None:
    error = ValueError("invalid literal for int(): 'word@host'")
    assert reason(error, "postgresql://me:p@ss:word@host/runs") == "ValueError"
    assert reason(error, "sqlite:////a/mlflow.db") == str(error)


def test_a_search_keeps_no_secret() -> None:
    cfg = compose_task("price", "+search.space.task.path.choices=[a.csv,'http://host/a.csv?sig=x']")
    with pytest.raises(UserError, match="no user, password, query or fragment"):
        distributions(cfg)


@pytest.fixture
def place() -> Iterator[str]:
    """Of a table on a server, as it may be shown."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), serving(repeat("\n".join([HEADER, *GOOD]))))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}/my.csv"
    server.shutdown()


def words(place: str, signature: str) -> tuple[str, ...]:
    secrets = f"X-Amz-Signature={signature}{MARK}&sas={MARK}&pwd={MARK}#{MARK}"
    address = f"task.path='http://ghp_{MARK}@{place}?{secrets}'"
    return "cell=rnn", "trainer.max_epochs=1", "task.source=csv", address


def check_nothing_left(root: Path, outcomes: list[Outcome], *names: str) -> None:
    assert [outcome.code for outcome in outcomes] == [0] * len(outcomes)
    assert MARK not in "".join(outcome.out + outcome.err for outcome in outcomes)
    kept = [path for path in root.rglob("*") if path.is_file()]
    assert {"config.yaml", "run.json", "meta.json", "source.json", *names} <= {path.name for path in kept}
    assert not [path for path in kept if MARK.encode() in path.read_bytes()]


def test_training_on_a_table_at_an_address_with_secrets_leaves_none_behind(run: Run, root: Path, place: str) -> None:
    """In no file below the root, and in nothing printed."""
    check_nothing_left(root, [run("train", "tracking=none", *words(place, "old"))])


@pytest.mark.slow
def test_all_that_follows_and_the_store_keep_no_secret_either(run: Run, root: Path, place: str) -> None:
    """A renewed signature finds the run."""
    outcomes = [run(name, *words(place, "old")) for name in ("train", "evaluate")]
    outcomes.append(run("train", *words(place, "new")))
    assert "already trained under this setting" in outcomes[-1].out
    outcomes.append(run("report", "report.folder=runs", *words(place, "new")[2:]))
    assert f"task.path='http://{place}'" in (root / "reports-runs" / "leaderboard.md").read_text()
    check_nothing_left(root, outcomes, "mlflow.db")


def test_a_mistake_in_the_code_is_shown_where_it_arose_and_without_secrets(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a single run Hydra would print the command line."""

    def fetch(*_: object, **__: object) -> None:
        raise RuntimeError("no answer from http://me:5ECRET@host/a.csv?sig=5ECRET")

    monkeypatch.setattr(OwnTable, "fetch", fetch)
    outcome = run("train", "tracking=none", "task.source=csv", "task.path='http://me:5ECRET@host/a.csv?sig=5ECRET'")
    assert outcome.code == 1
    assert "in fetch\n" in outcome.err
    assert "RuntimeError: no answer from http://host/a.csv\n" in outcome.err
    assert MARK not in outcome.out + outcome.err
