"""From a data set to arrays, once for each setting, and never from stale data."""

import hashlib
import json
import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hydra.utils import get_class, instantiate
from omegaconf import DictConfig

from rnnlab.config.fingerprint import data_setting, fetch_setting, fingerprint
from rnnlab.data.download import sha256_of
from rnnlab.errors import UserError
from rnnlab.results.files import atomic_folder, read_json, write_json
from rnnlab.results.locks import locked
from rnnlab.results.paths import Prepared, from_root, root

if TYPE_CHECKING:  # they load Lightning, which what only fetches does not need
    from rnnlab.tasks.judging import Judging
    from rnnlab.tasks.task import Task

log = logging.getLogger("rnnlab")

FETCHED = "fetched.json"
"""Beside the raw files: the setting they were fetched under."""


def fetch(cfg: DictConfig) -> None:
    """Bring the task's data set into the pipeline's data/raw."""
    folder = Prepared.of_pipeline(cfg.task.name).raw
    _fetch(cfg, folder)
    log.info("fetched %s into %s", cfg.task.dataset.name, from_root(folder))


def preprocess(cfg: DictConfig) -> None:
    """Prepare the pipeline's data/processed from its data/raw, and print the data report."""
    prepared = Prepared.of_pipeline(cfg.task.name)
    record = prepared.raw / FETCHED
    if not record.exists() or read_json(record) != fetch_setting(cfg):
        raise UserError(
            f"{prepared.raw} was not fetched under this config: run `rnnlab fetch` with the same "
            "overrides, or `dvc repro`, which does so by itself."
        )
    _prepare(cfg, prepared)
    log.info("  arrays in %s", from_root(prepared.processed))


def checked_task(cfg: DictConfig) -> "Task":
    """The task, not open yet.

    Raises: `UserError` for options of it, or of what judges it, that cannot work.
    """
    task: Task = instantiate(cfg.task.data)
    task.check()
    judging: type[Judging] = get_class(cfg.task.judging._target_)
    judging.check_options(cfg.task.judging)
    return task


def open_task(cfg: DictConfig, seed: int, prepared: Prepared | None = None) -> "Task":
    """The task with its data, its training examples in the order of a seed.

    prepared: where `prepared_data` has found the data, if it is known.
    """
    task = checked_task(cfg)
    prepared = prepared or prepared_data(cfg)
    task.open(prepared.processed, read_json(prepared.meta), seed)
    return task


def prepared_data(cfg: DictConfig) -> Prepared:
    """Where the arrays made under exactly this config are: the pipeline's, else those of a cache folder of their own,
    made first where there are none.

    Nor are there any where they no longer match their digest: they are made again, and a line says so.

    What may be another tomorrow under the same address or dates is fetched anew, once by each process: all that one
    command does is about one state of it.
    """
    expected = fingerprint(data_setting(cfg))
    if not cfg.dvc and not instantiate(cfg.task.dataset).is_settled:
        known = _unsettled.get((root(), expected))
        if known is None or _state(known, expected) != "whole":
            known = _unsettled[root(), expected] = _prepared_anew(cfg, expected)
        return known
    of_pipeline = Prepared.of_pipeline(cfg.task.name)
    state = _state(of_pipeline, expected)
    if state == "whole":
        return of_pipeline
    if cfg.dvc:
        what = f"{NO_MATCH}: run" if state == "damaged" else "was not prepared under this config: run"
        raise UserError(f"{of_pipeline.processed} {what} `dvc repro`, which prepares it again.")
    cached = Prepared.of_cache(cfg.task.name, expected)
    with locked(cached.folder / ".lock"):
        in_cache = _state(cached, expected)
        if in_cache != "whole":
            if state == "damaged":
                log.info("%s %s: it is not used", of_pipeline.processed, NO_MATCH)
            if in_cache == "damaged":
                log.info("%s %s: it is prepared again", cached.processed, NO_MATCH)
            else:
                log.info("no data prepared under this config: preparing it in %s", cached.processed)
            _prepare_in_cache(cfg, cached)
    return cached


_unsettled: dict[tuple[Path, str], Prepared] = {}
"""By root and fingerprint, what this process has fetched of data that may change."""


def prepared_here() -> dict[tuple[Path, str], Prepared]:
    """What this process has fetched of data that may change, by root and fingerprint."""
    return dict(_unsettled)


def assume_prepared(known: dict[tuple[Path, str], Prepared]) -> None:
    """Let this process use what another one has fetched: the jobs of a sweep are about one state of the data."""
    _unsettled.update(known)


NO_MATCH = "does not match the digest in its meta.json"


def _prepared_anew(cfg: DictConfig, expected: str) -> Prepared:
    """In a folder that is named by its content as well, so that what another process reads is not exchanged."""
    new = Prepared.of_cache(cfg.task.name, f"{expected}.new")
    with locked(new.folder.with_name(f".{expected}.lock")):
        log.info("preparing data that may have changed where it comes from")
        _fetch(cfg, new.raw)
        _prepare(cfg, new)
        found = Prepared.of_cache(cfg.task.name, f"{expected}-{read_json(new.meta)['digest']}")
        if found.folder.exists() and _state(found, expected) != "whole":
            log.info("%s %s: replaced by the same data, prepared again", found.processed, NO_MATCH)
            shutil.rmtree(found.folder)
        if not found.folder.exists():
            new.folder.rename(found.folder)
    return found


def _prepare_in_cache(cfg: DictConfig, cached: Prepared) -> None:
    """From the raw files that lie there, if they are still as they were fetched; else they are fetched again."""
    sums = _sums(cached.raw) if cached.raw.is_dir() else {}
    if not sums or sums != _read(cached.raw_sums):
        _fetch(cfg, cached.raw)
        write_json(cached.raw_sums, _sums(cached.raw))
    _prepare(cfg, cached)


def _sums(folder: Path) -> dict[str, str]:
    """The checksum of each file, but for the locks and records of fetching."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = ((path.relative_to(folder), path) for path in files)
    return {
        name.as_posix(): sha256_of(path) for name, path in named if not any(part.startswith(".") for part in name.parts)
    }


def _state(prepared: Prepared, expected: str) -> Literal["whole", "other", "damaged"]:
    """Of the arrays: as they were made under this config, made under another or not at all, or changed since."""
    if not prepared.processed.is_dir():
        return "other"
    meta = _read(prepared.meta)
    if meta.get("fingerprint", expected) != expected:
        return "other"
    whole = fingerprint(meta.get("setting")) == expected and _digest_found(prepared) == meta.get("digest")
    return "whole" if whole else "damaged"


def _digest_found(prepared: Prepared) -> str | None:
    """The digest of the current files; None where a file goes away meanwhile or cannot be read.

    Arrays of gigabytes are not read for each of a hundred runs: the digest is kept with the size, time and inode of all
    files, and holds as long as these do. What damages a file and leaves all three alone is not found.
    """
    try:
        stats = {path.name: path.stat() for path in sorted(prepared.processed.iterdir())}
        files = {name: [stat.st_size, stat.st_mtime_ns, stat.st_ino] for name, stat in stats.items()}
        known = _read(prepared.verified)
        if known.get("files") == files:
            return str(known.get("digest"))
        digest = _digest(prepared.processed, _read(prepared.meta))
    except OSError:
        return None
    with suppress(OSError):  # nothing may be written there: it is read each time
        write_json(prepared.verified, {"digest": digest, "files": files})
    return digest


NOT_DIGESTED = ("fingerprint", "digest", "setting", "report", "seen")
"""Of meta.json: the setting has its fingerprint, and no net or judgement depends on the others."""


def _read(path: Path) -> dict[str, Any]:
    """Of a JSON file that may be damaged: what it holds, {} where that is nothing to be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


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
        facts = json.loads(json.dumps(facts))  # as they will be read: JSON's keys are texts
        meta = {"fingerprint": fingerprint(setting), "digest": _digest(part, facts), "setting": setting}
        write_json(part / "meta.json", {**meta, **facts, "report": report})
    _print_report(cfg.task.name, report)


def _digest(folder: Path, facts: dict[str, Any]) -> str:
    """Of the content of every array, by name, and of what else makes the task: splits, scalers."""
    facts = {key: value for key, value in facts.items() if key not in NOT_DIGESTED}
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
