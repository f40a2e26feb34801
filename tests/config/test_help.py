"""--help: every key of every group, with its value, what it is for and what may stand there."""

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from rnnlab.config.help import explanation
from rnnlab.results.paths import CONF
from tests.conftest import Run

OPTIONS = [
    f"{group}={path.stem}" if group != "callbacks" else f"callbacks=[{path.stem}]"
    for group in ("task", "cell", "optimizer", "schedule", "callbacks", "tracking", "budget", "parameters", "trainer")
    for path in sorted((CONF / group).glob("*.yaml"))
]


def composed(*overrides: str) -> DictConfig:
    OmegaConf.register_new_resolver("rnnlab_root", lambda: "root", replace=True)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides), return_hydra_config=True)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_key_is_explained(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    lines = explanation(composed(option)).splitlines()
    assert len(lines) > 80
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        key, _, value = line.partition("=")
        if value and "_target_" not in key and not line.startswith((" ", "search.space.")):
            explained = "  " in value or len(line.partition(" ")[2].strip()) > 0 or after.startswith(" ")
            assert explained, line


def test_an_explanation_has_type_range_and_what_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    text = explanation(composed("cell=gru", "trainer.threads=2"))
    (threads,) = [line for line in text.splitlines() if line.startswith("trainer.threads=2 ")]
    assert threads.endswith("(an integer >= 1 and <= 1024; decides rounding)")
    assert "cell.hidden_size=32                (as task.training.hidden_size)" in text
    assert "task.data.window" not in text, "what repeats a key of the task"
    assert "trainer: how long and on what to train" in text


def test_help_prints_what_was_asked_for_and_hides_secrets(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@example.org/store")
    outcome = run("train", "--help", "cell=lru", "trainer.max_epochs=7", "task.path='a${b}'", r"model='\${d} $e'")
    assert outcome.code == 0, outcome.err
    assert "cell.max_radius=1.0" in outcome.out
    assert "task.path=???" in outcome.out
    assert "model=${d} $e " in outcome.out, "as it is written, to Hydra's template and to OmegaConf"
    assert "trainer.max_epochs=7" in outcome.out
    assert "cell: antisymmetric, cfc" in outcome.out
    assert "secret" not in outcome.out
    assert "hydra.run" not in outcome.out
