"""What each stage of dvc.yaml depends on, written as one file a stage and item: configs/<stage>/<item>.yaml."""

import os
from functools import cache
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from rnnlab.config.fingerprint import (
    baseline_setting,
    data_setting,
    evaluate_setting,
    fetch_setting,
    fingerprint,
    plain,
    source_digests,
    train_setting,
)
from rnnlab.config.names import given_packages
from rnnlab.config.sizing import sizing_setting
from rnnlab.errors import UserError
from rnnlab.results.files import atomic_folder
from rnnlab.results.paths import CONF, root


def grid() -> DictConfig:
    """conf/grid.yaml: `tasks`, `cells`, `seeds`, `dataset_of` each task, a task for each of `datasets`."""
    content = OmegaConf.load(CONF / "grid.yaml")
    assert isinstance(content, DictConfig)
    return content


def write_configs() -> None:
    """Compose each pair of the grid and write what each stage depends on.

    Raises: `UserError` where conf/grid.yaml names a data set that a task's own config does not.
    """
    files = dict(_files(grid()))
    with atomic_folder(root() / "configs") as folder:
        for name, content in files.items():
            path = folder / f"{name}.yaml"
            path.parent.mkdir(exist_ok=True)
            # DVC copies the file into dvc.lock, which a list of all sources would double
            one_digest = content | {"sources": fingerprint(content["sources"])}
            OmegaConf.save(OmegaConf.create(one_digest), path)


def _files(grid: DictConfig) -> dict[str, dict[str, Any]]:
    files: dict[str, dict[str, Any]] = {}
    composed = cache(compose_task)  # for this call alone: conf/ may be edited before the next one
    # what a data set or a baseline depends on is the same for all cells
    any_cell = [f"cell={cell}" for cell in grid.cells][:1]
    for dataset, task in grid.datasets.items():
        files[f"fetch/{dataset}"] = fetch_setting(composed(task, *any_cell))
    for task in grid.tasks:
        cfg = composed(task, *any_cell)
        if grid.dataset_of.get(task) != cfg.task.dataset.name or cfg.task.dataset.name not in grid.datasets:
            raise UserError(
                f"conf/task/{task}.yaml reads the data set {cfg.task.dataset.name}, but in conf/grid.yaml dataset_of "
                "and datasets say otherwise."
            )
        files[f"preprocess/{task}"] = data_setting(cfg)
        files[f"baseline/{task}"] = baseline_setting(cfg)
        for cell in grid.cells:
            cfg = composed(task, f"cell={cell}")
            files[f"train/{task}-{cell}"] = {**train_setting(cfg), **sizing_setting(cfg), "seeds": list(grid.seeds)}
            files[f"evaluate/{task}-{cell}"] = evaluate_setting(cfg)
    files["report/leaderboard"] = {"grid": plain(grid), "sources": source_digests(["rnnlab.report.page"])}
    return files


def compose_task(task: str, *overrides: str) -> DictConfig:
    """The config of an entry point that is given these overrides, under the environment's packages."""
    GlobalHydra.instance().clear()  # an entry point is itself within Hydra, which allows one at a time
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", [f"task={task}", *overrides])
    cfg.packages = given_packages([], os.environ)
    return cfg
