"""What each stage of dvc.yaml depends on, written as one file a stage and item: configs/<stage>/<item>.yaml."""

import os
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

import rnnlab
from rnnlab.config.checking import check
from rnnlab.config.files import compose_config
from rnnlab.config.fingerprint import (
    baseline_setting,
    data_setting,
    evaluate_setting,
    fetch_setting,
    fingerprint,
    source_digests,
    train_setting,
)
from rnnlab.config.names import given_packages
from rnnlab.config.sizing import sizing_setting
from rnnlab.errors import UserError
from rnnlab.results.files import atomic_folder
from rnnlab.results.paths import CONF, root

STAGES = 1
"""What dvc.yaml says of itself, as `stages`; raised when those of an earlier version no longer do."""


@dataclass(frozen=True)
class Grid:
    """conf/grid.yaml: what `dvc repro` runs."""

    tasks: list[str]
    cells: list[str]
    seeds: list[int]


def grid() -> Grid:
    """That of the workspace, or where it has none, rnnlab's own.

    Raises: `UserError` for keys or values that it cannot have.
    """
    path = next(path for path in (root() / "conf/grid.yaml", CONF / "grid.yaml") if path.is_file())
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    keys = [each.name for each in fields(Grid)]
    if not isinstance(content, dict) or sorted(map(str, content)) != sorted(keys):
        raise UserError(f"{path}: the keys {', '.join(keys)} are needed, and no others.")
    for key, values in content.items():
        kind, what = (int, "whole numbers from 0") if key == "seeds" else (str, f"names of files of conf/{key[:-1]}")
        fits = isinstance(values, list) and values and all(type(value) is kind for value in values)
        if not fits or len(set(values)) < len(values) or (kind is int and min(values) < 0):
            hint = (
                " A task with options of its own is a file conf/task/<name>.yaml: see the README, Your own data."
                if key == "tasks"
                else ""
            )
            raise UserError(f"{path}: {key} must be a list of {what}, each once, got {values}.{hint}")
    return Grid(**content)


def stages_of(path: Path) -> int | None:
    """The number that a dvc.yaml gives as `stages`; None where it gives none, as one that is not rnnlab's."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))["vars"]
        number = next(each["stages"] for each in found if isinstance(each, dict) and "stages" in each)
    except (YAMLError, UnicodeDecodeError, LookupError, TypeError, StopIteration):
        return None
    return number if isinstance(number, int) else None


def check_stages(path: Path) -> None:
    """Raises: `UserError` where the dvc.yaml of a workspace is of another version of rnnlab, whose stages differ."""
    number = stages_of(path)
    if number is None:
        raise UserError(f"{path} is not rnnlab's, or `stages` under its `vars` was lost: it must be {STAGES}.")
    if number < STAGES:
        raise UserError(f"{path} is of an earlier version of rnnlab: `rnnlab init` writes it as this one needs it.")
    if number > STAGES:
        raise UserError(f"{path} is of a later version of rnnlab than this one, {rnnlab.__version__}: install that.")


def write_configs() -> Path:
    """Compose each pair of the grid and write what each stage depends on. Returns: the folder.

    Raises: `UserError` as `grid` and `check_stages` do, and for a task or cell that there is not.
    """
    if (root() / "dvc.yaml").is_file():
        check_stages(root() / "dvc.yaml")
    files = dict(_files(grid()))
    with atomic_folder(root() / "configs") as folder:
        for name, content in files.items():
            path = folder / f"{name}.yaml"
            path.parent.mkdir(exist_ok=True)
            # DVC copies the file into dvc.lock, which a list of all sources would double
            one_digest = content | {"sources": fingerprint(content["sources"])}
            OmegaConf.save(OmegaConf.create(one_digest), path)
    return root() / "configs"


def _files(grid: Grid) -> dict[str, dict[str, Any]]:
    files: dict[str, dict[str, Any]] = {}
    composed = cache(_composed)  # for this call alone: conf/ may be edited before the next one
    # what a data set or a baseline depends on is the same for all cells
    any_cell = [f"cell={cell}" for cell in grid.cells][:1]
    for task in grid.tasks:
        cfg = composed(task, *any_cell)
        if cfg.task.name != task:
            raise UserError(f"conf/task/{task}.yaml has the name {cfg.task.name}: `dvc repro` needs name: {task}.")
        files[f"fetch/{task}"] = fetch_setting(cfg)
        files[f"preprocess/{task}"] = data_setting(cfg)
        files[f"baseline/{task}"] = baseline_setting(cfg)
        for cell in grid.cells:
            cfg = composed(task, f"cell={cell}")
            files[f"train/{task}-{cell}"] = {**train_setting(cfg), **sizing_setting(cfg), "seeds": list(grid.seeds)}
            files[f"evaluate/{task}-{cell}"] = evaluate_setting(cfg)
    files["report/leaderboard"] = {"grid": asdict(grid), "sources": source_digests(["rnnlab.report.page"])}
    return files


def compose_task(task: str, *overrides: str) -> DictConfig:
    """The config of a command that is given these overrides, under the environment's packages."""
    cfg = compose_config([f"task={task}", *overrides])
    cfg.packages = given_packages([], os.environ)
    return cfg


def _composed(task: str, *overrides: str) -> DictConfig:
    """The same, checked before anything is made of it: a task's file may be the user's own."""
    cfg = compose_task(task, *overrides)
    check(cfg)
    return cfg
