"""Prepared arrays that something happened to are made again before anything reads them."""

import functools
import json
import logging
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.config.stages import compose_task
from rnnlab.datasets.generated import Generated
from rnnlab.errors import UserError
from rnnlab.results.files import read_json
from rnnlab.results.paths import Prepared
from rnnlab.tasks.synthetic.xor.data import XorData
from rnnlab.training import prepare
from rnnlab.training.prepare import _read, fetch, open_task, prepared_data, preprocess
from tests.conftest import Run

NO_MATCH = "does not match the digest in its meta.json"


def zero(path: Path) -> None:
    array = np.load(path)
    np.save(path, np.zeros_like(array))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def scaled_by_another(meta: Path) -> None:
    content = read_json(meta)
    content["input_scaler"]["mean"][0] += 1
    meta.write_text(json.dumps(content))


DAMAGE: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "zeroed": ("targets.npy", zero),
    "gone": ("judged.npy", Path.unlink),
    "meta cut off": ("meta.json", lambda path: os.truncate(path, 300)),
    "meta a list": ("meta.json", lambda path: path.write_text("[]")),
    "meta of another scaler": ("meta.json", scaled_by_another),
}

Contents = dict[str, bytes]


def contents(folder: Path) -> Contents:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with prices prepared in the cache."""
    root = tmp_path_factory.mktemp("undamaged")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNLAB_ROOT", str(root))
        prepared_data(compose_task("price"))
    return root


@pytest.fixture
def prepared(undamaged: Path, root: Path, caplog: pytest.LogCaptureFixture) -> Prepared:
    """A copy of it."""
    shutil.copytree(undamaged, root, dirs_exist_ok=True)
    caplog.set_level(logging.INFO, "rnnlab")
    return prepared_data(compose_task("price"))


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_arrays_are_prepared_again_and_a_line_says_so(
    prepared: Prepared, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    before = contents(prepared.processed)
    fetched = {path.name: path.stat().st_ino for path in prepared.raw.iterdir()}
    file, damage = DAMAGE[name]
    damage(prepared.processed / file)
    assert contents(prepared.processed) != before
    caplog.clear()
    for _ in range(2):
        open_task(compose_task("price"), 0)
        assert [line for line in caplog.messages if NO_MATCH in line] == [
            f"{prepared.processed} {NO_MATCH}: it is prepared again"
        ]
    assert contents(prepared.processed) == before
    assert {path.name: path.stat().st_ino for path in prepared.raw.iterdir()} == fetched, "from the raw files there"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"[" * 100_000, b"\xff\xfe\x00\x80"],
    ids=["empty", "cut", "list", "deep", "not UTF-8"],
)
def test_nothing_is_read_from_a_damaged_record(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "meta.json"
    assert _read(path) == {}
    path.write_bytes(content)
    assert _read(path) == {}


class Numbered(XorData):
    """With a fact that JSON writes in another order: 2 comes before 10, but "10" before "2"."""

    def prepare(self, dataset: Generated, raw: Path, folder: Path) -> dict[str, Any]:
        return {**super().prepare(dataset, raw, folder), "numbered": {2: 0, 10: 0}}


def test_facts_that_json_orders_otherwise_match_their_digest(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """So that they are not prepared again each time."""
    caplog.set_level(logging.INFO, "rnnlab")
    cfg = compose_task("xor", f"task.data._target_={__name__}.Numbered")
    assert prepared_data(cfg) == prepared_data(cfg)
    assert len([line for line in caplog.messages if "preparing it in" in line]) == 1
    assert NO_MATCH not in caplog.text


@pytest.mark.parametrize("file", ["AAPL.csv", "source.json"])
def test_damaged_raw_files_are_fetched_again_when_they_are_needed(prepared: Prepared, file: str) -> None:
    arrays, raw = contents(prepared.processed), (prepared.raw / "AAPL.csv").read_bytes()
    flip(prepared.raw / file)
    open_task(compose_task("price"), 0)
    flip(prepared.processed / "inputs.npy")
    open_task(compose_task("price"), 0)
    assert contents(prepared.processed) == arrays
    assert (prepared.raw / "AAPL.csv").read_bytes() == raw


def test_what_was_found_whole_is_not_read_again_until_a_file_changes(prepared: Prepared) -> None:
    """As a change shows that leaves size, time and inode alone, and so is not found."""
    assert prepared_data(compose_task("price")) == prepared
    path = prepared.processed / "targets.npy"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    before = contents(prepared.processed)
    flip(path)
    os.utime(path, ns=times)
    prepared_data(compose_task("price"))
    assert contents(prepared.processed) != before
    os.utime(path)
    prepared_data(compose_task("price"))
    assert contents(prepared.processed) == before


def in_a_process(_: int) -> list[str]:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("rnnlab").addHandler(handler)
    open_task(compose_task("price"), 0)
    return lines


def test_of_processes_that_find_the_same_damage_one_prepares(prepared: Prepared) -> None:
    before = contents(prepared.processed)
    mapped = np.load(prepared.processed / "inputs.npy", mmap_mode="r")
    whole = np.array(mapped)
    flip(prepared.processed / "targets.npy")
    with multiprocessing.get_context("fork").Pool(3) as pool:
        found = pool.map(in_a_process, range(3), chunksize=1)
    assert sum(NO_MATCH in line for lines in found for line in lines) == 1
    assert contents(prepared.processed) == before
    assert np.array_equal(mapped, whole), "what is mapped stays until it is let go"


@pytest.fixture
def of_pipeline(prepared: Prepared, root: Path) -> Prepared:
    """Prepared as `dvc repro` does; the cache is empty again."""
    shutil.rmtree(root / "data")
    cfg = compose_task("price", "dvc=true")
    fetch(cfg)
    preprocess(cfg)
    return prepared_data(cfg)


def test_damage_in_the_pipelines_folder_is_left_to_dvc(
    of_pipeline: Prepared, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = contents(of_pipeline.processed)
    assert prepared_data(compose_task("price")) == of_pipeline == Prepared.of_pipeline("price")
    assert set(contents(of_pipeline.processed)) == set(before), "nothing is added to what DVC keeps"
    flip(of_pipeline.processed / "targets.npy")
    damaged = contents(of_pipeline.processed)
    with pytest.raises(UserError, match=rf"^{of_pipeline.processed} {NO_MATCH}: run `dvc repro`"):
        prepared_data(compose_task("price", "dvc=true"))
    caplog.clear()
    by_hand = prepared_data(compose_task("price"))
    assert caplog.messages[0] == f"{of_pipeline.processed} {NO_MATCH}: it is not used"
    assert by_hand.processed.is_relative_to(root / "data/cache/price")
    assert contents(by_hand.processed) == before
    assert contents(of_pipeline.processed) == damaged


def test_where_nothing_can_be_written_the_arrays_are_read_each_time(of_pipeline: Prepared, root: Path) -> None:
    shutil.rmtree(root / "data/cache")
    (root / "data/cache").touch()
    for _ in range(2):
        assert prepared_data(compose_task("price")) == of_pipeline
    flip(of_pipeline.processed / "targets.npy")
    with pytest.raises(UserError, match=NO_MATCH):
        prepared_data(compose_task("price", "dvc=true"))


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a table on a server."""
    folder = tmp_path_factory.mktemp("served")
    days = [
        f"2020-{month:02d}-{day:02d},{100 + np.sin(month * day):.4f}" for month in range(1, 13) for day in range(1, 29)
    ]
    (folder / "my.csv").write_text("\n".join(["date,close", *days]))
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/my.csv"
    server.shutdown()


@pytest.mark.parametrize("again", ["in the same process", "in the next"])
def test_data_that_is_fetched_anew_takes_the_place_of_damaged_data(
    root: Path, address: str, caplog: pytest.LogCaptureFixture, again: str
) -> None:
    caplog.set_level(logging.INFO, "rnnlab")
    cfg = compose_task("price", "task.source=csv", f"task.path={address}")
    prepared = prepared_data(cfg)
    before = contents(prepared.processed)
    flip(prepared.processed / "targets.npy")
    if again == "in the next":
        prepare._unsettled.clear()
    caplog.clear()
    assert prepared_data(cfg) == prepared
    assert contents(prepared.processed) == before
    assert sum(NO_MATCH in line for line in caplog.messages) == 1


def test_a_net_is_judged_on_damaged_data_as_on_whole_data(run: Run, root: Path) -> None:
    settings = ("task=xor", "cell=rnn", "trainer.max_epochs=1", "tracking=none")

    def result() -> tuple[bytes, bytes]:
        (folder,) = root.glob("runs/xor/*/rnn/*/evaluate")
        found = (folder / "metrics.json").read_bytes(), (folder / "seeds/seed=0/losses.npy").read_bytes()
        shutil.rmtree(folder)
        return found

    for name in ("train", "evaluate"):
        assert run(name, *settings).code == 0
    before = result()
    (folder,) = root.glob("data/cache/xor/*/processed")
    zero(folder / "labels.npy")
    assert run("evaluate", *settings).out.count(NO_MATCH) == 1
    assert result() == before
