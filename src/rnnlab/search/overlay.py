"""What a search found, as a file of conf/tuned that a run applies with tuning=<name>."""

import re
import tempfile
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rnnlab.config.files import find
from rnnlab.errors import UserError
from rnnlab.results.files import atomic_file
from rnnlab.results.paths import CONF, root


def path_of(cfg: DictConfig) -> Path:
    """In the workspace's conf/, which in a checkout is rnnlab's own."""
    return root() / "conf" / f"{_name(cfg)}.yaml"


def _name(cfg: DictConfig) -> str:
    return f"tuned/{cfg.search.name}/{cfg.task.name}_{cfg.cell.name}"


def check_overlay(cfg: DictConfig) -> None:
    """Raises: `UserError` when what is found could not be written, or would replace what was made by hand."""
    name, path = cfg.search.name, path_of(cfg)
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or name == "none":
        raise UserError(f"search.name={name}: letters, digits, _ and - are needed, and not the word none.")
    ours = CONF / f"{_name(cfg)}.yaml"
    if ours.is_file() and not (path.is_file() and ours.samefile(path)):
        raise UserError(f"{ours} is rnnlab's own, and would be read first: choose another search.name.")
    if path.exists() and OmegaConf.select(OmegaConf.load(path), "tuning.trials") is None:
        raise UserError(f"{path} is made by hand, and a search does not replace it: choose another search.name.")
    for folder in (path.parent, root() / "conf/tuning"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise UserError(
                f"What is found goes into {folder}, which cannot be written ({error.strerror}): set RNNLAB_ROOT to "
                "a folder that can."
            ) from None


def check_study(cfg: DictConfig, study: str) -> None:
    """Raises: `UserError` when what is found would replace what another study found."""
    path = path_of(cfg)
    if path.exists() and OmegaConf.select(OmegaConf.load(path), "tuning.study") != study:
        raise UserError(
            f"{path} is of another search, under another config or code, and the trials spent on it would be "
            "forgotten: choose another search.name, or delete the file."
        )


def write_overlay(cfg: DictConfig, values: dict[str, Any], about: list[str], tuning: dict[str, Any]) -> Path:
    """Write the overlay of a pair, with `about` above it, and the group's own file where there is none.

    tuning: how many `trials` of which `study` it took.
    """
    name, path = cfg.search.name, path_of(cfg)
    group = root() / "conf/tuning" / f"{name}.yaml"
    if find(f"tuning/{name}") is None:
        with atomic_file(group) as part:
            part.write_text(
                f"# Lays conf/tuned/{name}/<task>_<cell>.yaml over all else: what `rnnlab search` found.\n"
                f"name: {name}\ntrials: null\nstudy: null\n"
            )
    header = "".join(f"# {line}\n" for line in about)
    content = OmegaConf.to_yaml(OmegaConf.create({"tuning": tuning, **values}))
    with atomic_file(path) as part:
        part.write_text(f"# @package _global_\n{header}{content}", encoding="utf-8")
    return path
