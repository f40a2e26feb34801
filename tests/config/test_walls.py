"""What an edit of the code reruns, and what the rooms may know of each other."""

import shutil
from pathlib import Path

import pytest

from rnnlab.config import fingerprint, stages
from tests.conftest import CHECKOUT


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, which the settings of the stages are digests of."""
    copy = tmp_path / "rnnlab"
    shutil.copytree(CHECKOUT / "src/rnnlab", copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "SOURCE", copy)
    return copy


def settings() -> dict[str, str]:
    """The fingerprint of what each stage of the grid depends on."""
    fingerprint._digest_and_imports.cache_clear()
    fingerprint._module_of.cache_clear()
    return {name: fingerprint.fingerprint(content) for name, content in stages._files(stages.grid()).items()}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) >= 1, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new, 1))


def of(stage: str) -> set[str]:
    return {f"{stage}/{task}-{cell}" for task in stages.grid().tasks for cell in stages.grid().cells}


def test_what_each_edit_reruns(package: Path) -> None:
    """Of the stages whose own inputs change; what depends on their results follows once these have changed."""
    pairs = stages.grid()
    judged = of("evaluate") | {f"baseline/{task}" for task in pairs.tasks}
    price = {f"evaluate/price-{cell}" for cell in pairs.cells}
    edits = {
        "a figure's title": ("tasks/forecasting/price/figures.py", "error by horizon", "errors by horizon", price),
        "a baseline": ("tasks/classification/digits/baselines.py", "PART = 4", "PART = 7", {"baseline/digits"}),
        "how all tasks are judged": ("tasks/judging.py", "in each[0]}", "in [*each[0]]}", judged),
        "a kernel's tile": ("unroll/cpp/kernel.py", "TILE = ", "TILE = 2 * ", of("train") | of("evaluate")),
        "another layout": ("layouts/ctc.py", "embedding_size: Positive = 64", "embedding_size: Positive = 32", set()),
        "a constant of the statistics": (
            "statistics.py", "CONFIDENCE = 0.95", "CONFIDENCE = 0.99", judged | {"report/leaderboard"},
        ),
        "a comment": ("modules/module.py", "# one sum, not a list", "# a sum, and not a list", set()),
        "a check": ("training/check.py", "torch sees no CUDA", "there is no CUDA", set()),
        "the store": ("tracking/mlflow/store.py", "BATCH = 1000", "BATCH = 900", set()),
    }  # fmt: skip
    before = settings()
    for edit, (path, old, new, expected) in edits.items():
        original = (package / path).read_text()
        replace(package / path, old, new)
        after = settings()
        (package / path).write_text(original)
        assert {name for name in before if before[name] != after[name]} == expected, edit
    (package / "layouts/mine.py").write_text("from rnnlab.layouts.per_timestep import ManyToOne\n")
    assert settings() == before, "a new layout"
