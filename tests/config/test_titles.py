"""What data sets are called."""

import shutil
from pathlib import Path

import pytest

from rnnlab.config import fingerprint
from rnnlab.config.stages import compose_task
from rnnlab.config.titles import LONGEST_SLUG, DataName, name_of_data, slug_of
from tests.config.test_fingerprint import TASKS
from tests.conftest import CHECKOUT

DIGEST = "0123456789abcdef"


def name(task: str, *overrides: str, target: str = "Passengers", digest: str = DIGEST) -> DataName:
    return name_of_data(compose_task(task, *overrides), {"digest": digest, "target": target})


@pytest.mark.parametrize(
    ("asked", "title", "folder"),
    [
        (("series",), "series: temperature of the sea, 12 ahead", "temperature-of-the-sea-12-ahead"),
        (
            ("series", "task.path=data/airline-passengers.csv"),
            "series: airline-passengers.csv, Passengers, 12 ahead",
            "airline-passengers-passengers-12-ahead",
        ),
        (("price", "task.batch_size=7", "task.loss=SquaredError"), "price: AAPL, 5 ahead", "aapl-5-ahead"),
        (("bitcoin",), "bitcoin: BTC-USD of Yahoo, 5 ahead", "btc-usd-of-yahoo-5-ahead"),
        (("weather", "task.horizon=3"), "weather: Seattle, 3 ahead", "seattle-3-ahead"),
        (("digits",), "digits: 5,000 of MNIST, rows", "5000-of-mnist-rows"),
        (("digits", "task.source=full", "task.order=permuted"), "digits: MNIST, permuted", "mnist-permuted"),
        (("adding", "task.train=50"), "adding: length 100, train=50", "length-100-train-50"),
        (
            ("series", "task.path=a.csv", "task.inputs=[rain,wind]", "task.test=0.2", "task.calendar=[year]"),
            "series: a.csv, Passengers, 12 ahead, calendar=[year], test=0.2, inputs=[rain,wind]",
            "a-passengers-12-ahead-calendar-year",
        ),
    ],
)
def test_a_title_says_the_source_the_question_and_what_differs_from_conf(
    asked: tuple[str, ...], title: str, folder: str, root: Path
) -> None:
    found = name(*asked)
    assert found.title == title
    assert found.folder == f"{folder}-01234567"


def test_every_task_has_a_title_of_its_own(root: Path) -> None:
    titles = {task: name(task, *(("task.path=a.txt",) if task == "text" else ())).title for task in TASKS}
    for task, title in titles.items():
        assert title.startswith(f"{task}: "), title
        assert "None" not in title
        assert "=" not in title, f"{title}: nothing differs from conf/"


def test_an_address_is_shown_without_what_is_secret(root: Path) -> None:
    found = name("series", "task.path='https://me:secret@host:80/x/rain.csv?token=secret'")
    assert found.title == "series: rain.csv, Passengers, 12 ahead"
    assert "secret" not in found.slug


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("数据.csv, 销售", "data"),
        ('Größe über élan.csv, a/b "c"', "grosse-uber-elan-a-b-c"),
        ("x" * 300 + ".csv, y", "x" * LONGEST_SLUG),
        ("../../etc/passwd", "etc-passwd"),
        ("", "data"),
    ],
)
def test_a_slug_can_be_a_folder_whatever_the_file_is_called(text: str, slug: str) -> None:
    assert slug_of(text) == slug


def test_a_long_or_strange_name_is_cut_and_stays_in_one_line(root: Path) -> None:
    title = name("series", f"task.path={'x' * 250}.csv", target='a/b "c"\n| ' + "y" * 300).title
    assert title.startswith(f'series: {"x" * 57}..., a/b "c" | yyy')
    assert len(title) <= 210
    assert title.isprintable()


def test_what_was_named_otherwise_before_keeps_its_folder(root: Path) -> None:
    """A new wording of titles reruns nothing."""
    assert name("price").folder == "aapl-5-ahead-01234567"
    (root / "runs/price/apple-01234567").mkdir(parents=True)
    assert name("price").folder == "apple-01234567"
    assert name("price", digest="9" * 16).folder == "aapl-5-ahead-99999999"


def test_how_titles_are_worded_is_no_part_of_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "rnnlab"
    shutil.copytree(CHECKOUT / "src/rnnlab", copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "SOURCE", copy)
    cfg = compose_task("price", "cell=gru")

    def settings() -> list[object]:
        fingerprint._digest_and_imports.cache_clear()
        fingerprint._module_of.cache_clear()
        return [each(cfg) for each in (fingerprint.train_setting, fingerprint.evaluate_setting)]

    before = settings()
    for file, old, new in (
        ("config/titles.py", "{cfg.task.name}: {behind}", "{cfg.task.name} - {behind}"),
        ("datasets/prices.py", ' of Yahoo"', ' from Yahoo"'),
    ):
        text = (copy / file).read_text()
        assert text.count(old) == 1, file
        (copy / file).write_text(text.replace(old, new))
    cfg.task.question = "tomorrow"
    assert settings() == before
    fingerprint._digest_and_imports.cache_clear()
    fingerprint._module_of.cache_clear()
