"""From a data set to arrays, once for each setting, and never from stale data."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from rnnlab.config import data_setting, fetch_setting, fingerprint
from rnnlab.data.atomic import atomic_folder, locked, read_json, write_json
from rnnlab.errors import UserError
from rnnlab.paths import Prepared, root
from rnnlab.tasks.task import Task

log = logging.getLogger("rnnlab")

FETCHED = "fetched.json"
"""Beside the raw files: the setting they were fetched under."""


def fetch(cfg: DictConfig) -> None:
    """Bring the task's data set into the pipeline's data/raw."""
    folder = Prepared.of_pipeline(cfg.task.name, cfg.task.dataset.name).raw
    _fetch(cfg, folder)
    log.info("fetched %s into %s", cfg.task.dataset.name, folder)


def preprocess(cfg: DictConfig) -> None:
    """Prepare the pipeline's data/processed from its data/raw, and print the data report."""
    prepared = Prepared.of_pipeline(cfg.task.name, cfg.task.dataset.name)
    record = prepared.raw / FETCHED
    if not record.exists() or read_json(record) != fetch_setting(cfg):
        raise UserError(
            f"{prepared.raw} was not fetched under this config: run `python pipelines/fetch.py` with the same "
            "overrides, or `dvc repro`, which does so by itself."
        )
    _prepare(cfg, prepared)


def open_task(cfg: DictConfig, seed: int) -> Task:
    """The task with its data prepared under exactly this config: the pipeline's, else a cache folder of its own."""
    task: Task = instantiate(cfg.task.data)
    task.check()
    prepared = prepared_data(cfg)
    task.open(prepared.processed, read_json(prepared.meta), seed)
    return task


def prepared_data(cfg: DictConfig) -> Prepared:
    """Where the arrays made under exactly this config lie; made first, in a cache folder, where there are none.

    What may be another tomorrow under the same address or dates is fetched anew, once by each process: all that one
    command does is about one state of it.
    """
    expected = fingerprint(data_setting(cfg))
    if not cfg.dvc and not instantiate(cfg.task.dataset).is_settled:
        if (root(), expected) not in _unsettled:
            _unsettled[root(), expected] = _prepared_anew(cfg, expected)
        return _unsettled[root(), expected]
    of_pipeline = Prepared.of_pipeline(cfg.task.name, cfg.task.dataset.name)
    if _is_current(of_pipeline, expected):
        return of_pipeline
    if cfg.dvc:
        raise UserError(f"{of_pipeline.processed} was not prepared under this config: run `dvc repro`.")
    cached = Prepared.of_cache(cfg.task.name, expected)
    with locked(cached.folder / ".lock"):
        if not _is_current(cached, expected):
            log.info("no data prepared under this config: preparing it in %s", cached.processed)
            _fetch(cfg, cached.raw)
            _prepare(cfg, cached)
    return cached


_unsettled: dict[tuple[Path, str], Prepared] = {}
"""By root and fingerprint, what this process has fetched of data that may change."""


def _prepared_anew(cfg: DictConfig, expected: str) -> Prepared:
    """In a folder that is named by its content as well, so that what another process reads is not exchanged."""
    new = Prepared.of_cache(cfg.task.name, f"{expected}.new")
    with locked(new.folder.with_name(f".{expected}.lock")):
        log.info("preparing data that may have changed where it comes from")
        _fetch(cfg, new.raw)
        _prepare(cfg, new)
        found = Prepared.of_cache(cfg.task.name, f"{expected}-{read_json(new.meta)['digest']}")
        if not found.folder.exists():
            new.folder.rename(found.folder)
    return found


def _is_current(prepared: Prepared, expected: str) -> bool:
    return prepared.meta.exists() and read_json(prepared.meta).get("fingerprint") == expected


def _fetch(cfg: DictConfig, folder: Path) -> None:
    dataset = instantiate(cfg.task.dataset)
    setting = fetch_setting(cfg)
    with atomic_folder(folder) as part:
        dataset.fetch(part, cfg.fetch.mirror)
        write_json(part / FETCHED, setting)


def _prepare(cfg: DictConfig, prepared: Prepared) -> None:
    task: Task = instantiate(cfg.task.data)
    task.check()
    setting = data_setting(cfg)
    with atomic_folder(prepared.processed) as part:
        facts = task.prepare(instantiate(cfg.task.dataset), prepared.raw, part)
        report = facts.pop("report")
        meta = {"fingerprint": fingerprint(setting), "digest": _digest(part, facts), "setting": setting}
        write_json(part / "meta.json", {**meta, **facts, "report": report})
    _print_report(cfg.task.name, report)


def _digest(folder: Path, facts: dict[str, Any]) -> str:
    """Of the content of every array, by name, and of what else makes the task: splits, scalers."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for path in sorted(folder.glob("*.npy")):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _print_report(name: str, report: dict[str, Any]) -> None:
    log.info("data report of %s", name)
    for key, value in report.items():
        for line in value if isinstance(value, list) else [value]:
            if line is not None and not isinstance(line, dict | list):  # those are for machines, in meta.json
                log.info("  %s: %s", key, line)
