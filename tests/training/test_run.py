"""A run is opened once: its data verified once, its config its own."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf.errors import ReadonlyConfigError

from rnnlab.config.stages import compose_task
from rnnlab.errors import UserError
from rnnlab.tasks.forecasting.data import ForecastingData
from rnnlab.training import prepare, run
from tests.conftest import Run as Command

MATCHED = ("cell=gru", "parameters=matched", "parameters.count=1500", "trainer.max_epochs=1", "tracking=none")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to data, as it is done: "verified" for a setting, "opened" for a seed."""
    done = []
    find, open_folder = prepare.prepared_data, ForecastingData.open

    def prepared_data(cfg: Any) -> Any:
        done.append("verified")
        return find(cfg)

    def open_counted(self: ForecastingData, *arguments: Any) -> None:
        done.append("opened")
        open_folder(self, *arguments)

    for module in (prepare, run):
        monkeypatch.setattr(module, "prepared_data", prepared_data)
    monkeypatch.setattr(ForecastingData, "open", open_counted)
    return done


def test_each_job_opens_its_data_once(run: Command, root: Path, opened: list[str]) -> None:
    for job in (("train", *MATCHED), ("evaluate", *MATCHED), ("diagnose", *MATCHED), ("train", "debug=fast")):
        opened.clear()
        outcome = run(*job)
        assert outcome.code == 0, outcome.err
        assert opened == ["verified", "opened"], job


def test_another_seed_is_the_same_run_on_the_same_data(root: Path, opened: list[str]) -> None:
    first = run.Run.open(compose_task("price", "parameters=matched"))
    second = first.with_seed(1)
    assert opened == ["verified", "opened", "opened"]
    assert (first.seed, second.seed) == (0, 1)
    assert second.label == "price/lstm seed 1"
    assert (second.results, second.setting) == (first.results, first.setting)
    batches = [next(iter(each.task.loader("train"))) for each in (first, first.with_seed(0), second)]
    assert batches[0].inputs.equal(batches[1].inputs)
    assert not batches[0].inputs.equal(batches[2].inputs)


def test_a_run_settles_sizes_in_a_config_of_its_own(root: Path) -> None:
    cfg = compose_task("price", *MATCHED)
    before = cfg.copy()
    opened = run.Run.open(cfg)
    assert cfg == before
    assert opened.cfg.cell.hidden_size != cfg.cell.hidden_size
    assert opened.module().parameter_count == pytest.approx(1500, rel=0.05)
    with pytest.raises(ReadonlyConfigError):
        opened.cfg.seed = 1


def test_what_keeps_no_results_is_never_opened_on_kept_ones(root: Path, tmp_path: Path) -> None:
    cfg = compose_task("price", "debug=fast")
    with pytest.raises(UserError, match="discard=true"):
        run.Run.open(cfg)
    assert not list(root.iterdir())
    assert run.Run.open(cfg, tmp_path / "short").results.folder == tmp_path / "short"
