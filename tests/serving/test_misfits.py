"""What a user learns before a net answers: what it was trained on, and in what the input is unlike that."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra.utils import instantiate

from rnnlab.config.stages import compose_task
from rnnlab.tasks.forecasting.misfits import step_in_words
from rnnlab.training.prepare import open_task
from tests.conftest import Run
from tests.serving.test_champions import registered
from tests.tracking.test_tracking import client

SHORT = ("task=series", "cell=gru", "cell.hidden_size=4", "trainer.max_epochs=1", "task.window=6", "task.horizon=2")


def series(path: Path, freq: str, column: str, level: float, **more: float) -> str:
    """A swing by `level`, in a file of 120 rows."""
    dates = pd.date_range("2001-01-01", periods=120, freq=freq)
    swing = level * (1 + 0.1 * np.sin(np.arange(120)))
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame({"when": dates, column: swing, **more}).to_csv(path, index=False)
    return str(path)


def test_each_table_has_a_champion_of_its_own_that_knows_it(run: Run, root: Path) -> None:
    """Also two files of one name, and a column with signs that a name on disk cannot have."""
    monthly = series(root / "a/air.csv", "MS", "Passengers", 200)
    daily = series(root / "b/air.csv", "D", "Passengers", 90_000, rain=1.0)
    hourly = series(root / "load.csv", "h", 'a/b "c" | d', 10)
    for path in (monthly, daily, hourly):
        trained = run("train", *SHORT, f"task.path={path}", *(("task.target=Passengers",) if path == daily else ()))
        assert trained.code == 0, trained.err
        (named,) = [line.split("rnnlab predict ")[1] for line in trained.out.splitlines() if "new champion" in line]
        if path == monthly:
            champion = named
    titles = {model.name.rpartition("-")[0]: model.tags["data"] for model in client(root).search_registered_models()}
    air, load = "series: air.csv, Passengers, 2 ahead, window=6", 'series: load.csv, a/b "c" | d, 2 ahead, window=6'
    assert titles == {
        "rnnlab-series-air-passengers-2-ahead-window-6": air,
        "rnnlab-series-load-a-b-c-d-2-ahead-window-6": load,
    }
    assert len(registered(root)) == 3
    experiments = [one.name for one in client(root).search_experiments() if one.name != "Default"]
    assert len(experiments) == 3
    assert all(name.startswith((f"{air} (", f"{load} (")) for name in experiments)

    # the monthly net given the daily table
    answered = run("predict", champion, f"input={daily}", f"output={root / 'a.csv'}")
    assert answered.code == 0, answered.err
    assert f"the net was trained on {air} (" in answered.err
    assert "rows, steps of 1 month, 2001-01-01 to 20" in answered.err
    assert "the net was trained on steps of 1 month, the input has steps of 1 day" in answered.err
    assert "column 'Passengers': the net was trained on 180" in answered.err
    assert "columns that the net does not read: rain" in answered.err
    its_own = run("predict", champion, f"input={monthly}", f"output={root / 'a.csv'}")
    assert "may not fit" not in its_own.err

    for asked in ("models:/rnnlab-series@champion", "models:/rnnlab-series-other-00000000@champion"):
        missing = run("predict", f"model={asked}", f"input={daily}")
        assert missing.code == 2
        for name in registered(root):
            assert f"models:/{name}@champion (series: " in missing.err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (31 * 86400, "1 month"),
        (30 * 86400, "1 month"),
        (92 * 86400, "3 months"),
        (365 * 86400, "1 year"),
        (14 * 86400, "2 weeks"),
        (7 * 86400, "1 week"),
        (86400, "1 day"),
        (1800, "30 minutes"),
        (0.5, "0.5 seconds"),
    ],
)
def test_steps_in_words(seconds: float, words: str) -> None:
    assert step_in_words(seconds) == words


@pytest.mark.parametrize(
    ("task", "fits", "does_not", "what"),
    [
        ("digits", {"image": [[0.0] * 392 + [255.0] * 392]}, {"image": [[0.0] * 392 + [1.0] * 392]}, "0 and 1"),
        ("sentiment", {"text": ["a film that is good"]}, {"text": ["ein langer Satz auf Deutsch"]}, "tokens are none"),
        ("parity", {"sequence": [["0", "1"] * 9]}, {"sequence": [["0", "1"] * 400]}, "800 timesteps"),
    ],
)
def test_input_of_another_kind_is_named(
    root: Path, task: str, fits: dict[str, list[object]], does_not: dict[str, list[object]], what: str
) -> None:
    cfg = compose_task(task)
    judging = instantiate(cfg.task.judging, open_task(cfg, seed=0))
    assert judging.misfits(pd.DataFrame(fits)) == []
    (line,) = judging.misfits(pd.DataFrame(does_not))
    assert what in line


def test_prices_of_another_level_fit_and_of_another_step_do_not(root: Path) -> None:
    """A net reads their returns."""
    cfg = compose_task("price")
    judging = instantiate(cfg.task.judging, open_task(cfg, seed=0))
    table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=40, freq="B"), "close": 5000.0, "volume": 1e9})
    table = table.assign(date=table["date"].dt.strftime("%Y-%m-%d"))
    assert judging.misfits(table) == []
    hours = table.assign(date=pd.date_range("2024-01-01", periods=40, freq="h").strftime("%Y-%m-%dT%H:%M:%S"))
    assert judging.misfits(hours) == ["the net was trained on steps of 1 day, the input has steps of 1 hour"]
