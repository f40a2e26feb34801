"""Champions that are crowned at once from several workspaces, with nothing but the registry between them."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from rnnlab.results.files import read_json, write_json
from rnnlab.results.origin import FORMAT
from rnnlab.results.paths import Results
from rnnlab.serving import champions
from rnnlab.serving.champions import ALIAS, name_of
from rnnlab.tracking.mlflow.store import MLflowStore
from rnnlab.tracking.tracker import Tracked
from tests.conftest import start
from tests.tracking.test_tracking_server import Server

REQUESTS = ("search_model_versions", "search_registered_models", "set_registered_model_alias")

SHORT = ("cell=rnn", "trainer.max_epochs=1")


class Registry:
    """A store in which runs are registered by what is said of them, without a net."""

    def __init__(self, store: MLflowStore, root: Path) -> None:
        self.store = store
        self.root = root
        self.client = self.store.client
        self.data = {"title": f"prices of {root.name}", "slug": root.name, "digest": "d", "setting": "s"}

    def run(
        self, key: str, loss: float, started: int = 1, yardstick: str = "loss", form: int = FORMAT
    ) -> tuple[Tracked, dict[str, Any]]:
        content: dict[str, Any] = {
            "format": form, "key": key, "name": key, "task": "price", "cell": "rnn", "seed": 0, "started": started,
            "folder": str(self.root / key), "params": {"seed": 0}, "tags": {"git_commit": "", "host": "box"},
            "dataset": self.data, "yardstick": yardstick,
        }  # fmt: skip
        results = Results(self.root / key)
        write_json(results.train(0) / "run.json", content)
        write_json(results.train(0) / "metrics.json", {"validation_loss": loss})
        return Tracked(results, 0, self.store._begin(content), self.store.experiment(content)), content

    def register(self, key: str, loss: float, **about: Any) -> str:
        """Its version, without the alias: as far as a process is that is stopped there."""
        tracked, content = self.run(key, loss, **about)
        return self.version(tracked, content, loss)

    def version(self, tracked: Tracked, content: dict[str, Any], loss: float) -> str:
        name = name_of(content)
        if not self.client.search_registered_models(f"name = '{name}'"):
            self.client.create_registered_model(name)
        tags = {
            "validation_loss": repr(loss), "yardstick": content["yardstick"], "rnnlab.format": str(content["format"]),
            "rnnlab.key": content["key"], "rnnlab.folder": f"{content['folder']}#0",
            "rnnlab.started": str(content["started"]),
        }  # fmt: skip
        made = self.client.create_model_version(name, "nowhere", tracked.run_id, tags=tags, await_creation_for=0)
        return str(made.version)

    @property
    def name(self) -> str:
        return name_of({"task": "price", "dataset": self.data})

    def champion(self) -> str:
        version = self.client.get_model_version_by_alias(self.name, ALIAS)
        return str(version.tags["rnnlab.key"])

    def crown(self, key: str, loss: float, **about: Any) -> None:
        assert champions.crown(self.store, self.run(key, loss, **about)[0])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> MLflowStore:
    """One for all tests, for it takes seconds to make; each has a data set of its own."""
    return MLflowStore(f"sqlite:///{tmp_path_factory.mktemp('store')}/shared.db")


@pytest.fixture
def registry(store: MLflowStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    registry = Registry(store, root)
    monkeypatch.setattr(champions, "_register", lambda _, tracked, run, loss: registry.version(tracked, run, loss))
    return registry


def test_the_best_of_all_versions_has_the_alias_whoever_is_crowned(registry: Registry) -> None:
    registry.crown("good", 0.5)
    assert registry.champion() == "good"
    registry.register("best", 0.2)  # by one that was killed before it set the alias
    registry.crown("bad", 0.9)
    assert registry.champion() == "best"
    known = registry.client.search_model_versions(f"name = '{registry.name}'")
    assert len(known) == 2  # what is not the best is not packed


def test_of_equal_ones_the_first_stays(registry: Registry) -> None:
    for key in ("first", "second"):
        registry.register(key, 0.5)
    registry.crown("third", 0.5)
    assert registry.champion() == "first"


@pytest.mark.parametrize("moment", REQUESTS)
@pytest.mark.parametrize("call", range(1, 5))
@pytest.mark.parametrize("theirs", [0.2, 0.7])
def test_another_that_comes_between_any_two_steps(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, moment: str, call: int, theirs: float
) -> None:
    """It is crowned as a whole before the n-th of these requests of ours is sent, and after that of the list is
    answered."""
    registry.crown("present", 0.9)
    asked = getattr(MlflowClient, moment)
    calls = 0

    def interrupted(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != call:
            return asked(*args, **options)
        answer = asked(*args, **options) if moment != "set_registered_model_alias" else None
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, moment, asked)
            other = registry.run("theirs", theirs)
            champions._crown(registry.store, *other, theirs)
        return answer if moment != "set_registered_model_alias" else asked(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, moment, interrupted)
        registry.crown("ours", 0.5)
    if calls < call:  # ours asks this less often: nobody came between
        assert registry.champion() == "ours"
        return
    assert registry.champion() == ("theirs" if theirs < 0.5 else "ours")


def by_hand(registry: Registry) -> None:
    version = registry.client.create_model_version(registry.name, "elsewhere", await_creation_for=0)
    registry.client.set_registered_model_alias(registry.name, ALIAS, version.version)


def by_another_loss(registry: Registry) -> None:
    version = registry.register("other loss", 9.0, yardstick="another")
    registry.client.set_registered_model_alias(registry.name, ALIAS, version)


def by_a_later_version(registry: Registry) -> None:
    version = registry.register("later", 9.0, form=FORMAT + 1)
    registry.client.set_registered_model_alias(registry.name, ALIAS, version)


@pytest.mark.parametrize("present", [by_hand, by_another_loss, by_a_later_version])
def test_what_cannot_be_compared_stays(registry: Registry, present: Callable[[Registry], None]) -> None:
    registry.crown("good", 0.5)
    present(registry)
    before = registry.client.get_model_version_by_alias(registry.name, ALIAS).version
    registry.crown("better", 0.1)
    assert registry.client.get_model_version_by_alias(registry.name, ALIAS).version == before


def test_one_by_another_loss_gives_way_once_its_run_is_deleted(registry: Registry) -> None:
    """On a server its folder may be of any host: that there is none here says nothing."""
    registry.crown("first", 0.5, yardstick="another")
    registry.crown("second", 0.5)
    assert registry.champion() == "first"
    version = registry.client.get_model_version_by_alias(registry.name, ALIAS)
    registry.client.delete_run(version.run_id)
    registry.crown("third", 0.6)
    assert registry.champion() == "third"


def test_an_earlier_training_of_the_same_run_and_a_deleted_one_do_not_count(registry: Registry) -> None:
    registry.crown("again", 0.1, started=1)
    first = registry.client.get_model_version_by_alias(registry.name, ALIAS)
    registry.register("second", 0.5)
    registry.crown("again", 0.7, started=2)
    assert registry.champion() == "second"
    second = registry.client.get_model_version_by_alias(registry.name, ALIAS)
    for version in (first, second):  # of what was trained again, the store deletes the earlier
        registry.client.delete_run(version.run_id)
    registry.crown("bad", 0.9)
    assert registry.champion() == "bad"


def test_one_of_an_earlier_format_gives_way(registry: Registry) -> None:
    version = registry.register("earlier", 0.1, form=FORMAT - 1)
    registry.client.set_registered_model_alias(registry.name, ALIAS, version)
    registry.crown("now", 0.5)
    assert registry.champion() == "now"


@pytest.mark.slow
def test_three_workspaces_that_crown_at_once(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real nets, one server: whoever is last, the best has the alias."""
    server = Server(tmp_path)
    server.start()
    try:
        losses = {}
        for number, rate in enumerate(("1e-3", "1e-5", "1e-4")):
            folder = tmp_path / str(number)
            folder.mkdir()
            start(folder, "train", *SHORT, f"optimizer.lr={rate}", "tracking=none").communicate()
            (trained,) = folder.glob("runs/price/*/rnn/*/train/seed=0")
            losses[read_json(trained / "run.json")["key"]] = read_json(trained / "metrics.json")["validation_loss"]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        sync = ("report", "report.folder=runs", "report.write=false", "report.show=false", "tracking=sync")
        started: list[subprocess.Popen[str]] = [start(tmp_path / str(number), *sync) for number in range(3)]
        printed_of = [process.communicate(timeout=400)[0] for process in started]
        assert [process.returncode for process in started] == [0, 0, 0], "\n".join(printed_of)
        client = MlflowClient(server.uri)
        (model,) = client.search_registered_models()
        found = client.get_model_version_by_alias(model.name, ALIAS)
        assert float(found.tags["validation_loss"]) == min(losses.values())
    finally:
        server.kill()
