"""Each command that docs/your-data.md shows works at the first try, on a file of that kind."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import CHECKOUT, Run
from tests.data.sequences import writing
from tests.data.sequences.writing import walks
from tests.datasets.test_own_folders import scores, texts

pytestmark = pytest.mark.slow

DOCUMENT = CHECKOUT / "docs/your-data.md"
COMMANDS = re.findall(r"^\| .+ \| `(task=.+)` \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)


def write_files(folder: Path) -> None:
    frame = walks(48)
    for each in (*writing.FORMS.values(), writing.arff, writing.two_files):
        each(frame, folder)
    writing.sounds(folder, count=12)
    alone = frame.drop(columns="patient")
    alone.assign(label=frame.groupby("id")["x"].transform("mean")).to_csv(folder / "numbers.csv", index=False)
    alone.assign(label=np.where(frame["x"] > 0, "up", "down")).to_csv(folder / "tags.csv", index=False)
    number = alone["id"].str[1:].astype(int)
    alone.assign(split=np.where(number < 36, "train", "test")).to_csv(folder / "parts.csv", index=False)
    mixed = alone.assign(mode=np.where(frame["y"] > 0, "on", "off"), age=20 + number)
    mixed.loc[::7, "x"] = np.nan
    mixed.to_csv(folder / "mixed.csv", index=False)
    scores(folder)
    texts(folder)
    films = {"gut": "ein schöner Film", "schlecht": "ein öder Film", "geht so": "ein Film für zwischendurch"}
    rows = [f"{films[label]} {number};{label}" for number in range(40) for label in films]
    (folder / "reviews.csv").write_text("Text;Label\n" + "\n".join(rows) + "\n", encoding="latin-1")
    rng = np.random.default_rng(0)
    endings = {"Italian": "ini", "Russian": "ov", "Greek": "akis"}
    drawn = {
        "".join(rng.choice(list("bdgklmnprst"), 4)) + end: name for name, end in endings.items() for _ in range(40)
    }
    pd.DataFrame(drawn.items(), columns=["Name", "Language"]).to_csv(folder / "names.csv", index=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_works_at_the_first_try(
    command: str, root: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = [*command.split(), "cell=rnn", "trainer.max_epochs=2", "tracking=none"]
    trained = run("train", *words)
    assert trained.code == 0, trained.err
    assert run("evaluate", *words).code == 0
    metrics = json.loads(next(root.glob("runs/**/evaluate/metrics.json")).read_text())
    assert all(value is None or np.isfinite(value) for value in metrics.values())


def test_there_are_more_than_twenty_kinds() -> None:
    assert len(COMMANDS) == len(set(COMMANDS)) > 20
