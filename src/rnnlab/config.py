"""The composed config: what of it decides a result, and the short hash that names that."""

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

SOURCE = Path(__file__).resolve().parent

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

NEUTRAL = ("rnnlab.tracking", "rnnlab.report.leaderboard", "rnnlab.report.figures", "rnnlab.cli", "rnnlab.config")
"""Modules that no number of a result depends on: editing them reruns nothing."""


def plain(node: Any) -> Any:
    """A config node as dicts and lists, every interpolation resolved."""
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)


def fingerprint(content: Any) -> str:
    """Ten hexadecimal digits that stand for `content`, any plain JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def source_digests(targets: Iterable[str]) -> dict[str, str]:
    """A digest of each of rnnlab's files that the named modules or classes import, directly or through others.

    The digest is of the syntax tree without docstrings: a comment or a new line break changes nothing.
    """
    digests: dict[str, str] = {}
    pending = [_module_of(target) for target in targets]
    while pending:
        path = _path_of(pending.pop())
        name = path.relative_to(SOURCE).as_posix() if path else ""
        if path is None or name in digests:
            continue
        digests[name], imports = _digest_and_imports(path)
        pending += [module for module in imports if not module.startswith(NEUTRAL)]
    return dict(sorted(digests.items()))


def _module_of(target: str) -> str:
    """rnnlab.cells.lstm.LSTM -> rnnlab.cells.lstm"""
    while target and _path_of(target) is None:
        target = target.rpartition(".")[0]
    return target


def _path_of(module: str) -> Path | None:
    package, _, rest = module.partition(".")
    if package != "rnnlab":
        return None
    path = SOURCE.joinpath(*rest.split(".")) if rest else SOURCE
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _digest_and_imports(path: Path) -> tuple[str, frozenset[str]]:
    tree = ast.parse(path.read_bytes())
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]
    return digest, frozenset(_module_of(name) for name in imports)


def fetch_setting(cfg: DictConfig) -> dict[str, Any]:
    """All that decides what is fetched: the data set's options, the content of a user's own file, and the code."""
    dataset = instantiate(cfg.task.dataset)
    dataset.check()
    return {"dataset": dataset.fingerprint(), "sources": source_digests([cfg.task.dataset._target_])}


def data_setting(cfg: DictConfig) -> dict[str, Any]:
    """All that decides the prepared arrays."""
    options = plain(cfg.task.data)
    targets = [options["_target_"], cfg.task.dataset._target_]
    # these shape batches and training, not the arrays
    for key in ("batch_size", "loss"):
        options.pop(key, None)
    return {**fetch_setting(cfg), "data": options, "sources": source_digests(targets)}


def train_setting(cfg: DictConfig) -> dict[str, Any]:
    """All that decides a trained net, but for its seed and the prepared arrays."""
    targets = [cfg.cell._target_, cfg.task.data._target_, "rnnlab.training"]
    return {key: plain(cfg[key]) for key in ("cell", "optimizer", "schedule", "trainer") if cfg[key] is not None} | {
        "task": plain(cfg.task.data),
        "sources": source_digests(targets),
    }


def evaluate_setting(cfg: DictConfig, targets: list[str]) -> dict[str, Any]:
    """All that decides how predictions are judged; `targets` made them."""
    return {
        "task": plain(cfg.task.data),
        "sources": source_digests([*targets, cfg.task.data._target_, "rnnlab.evaluation"]),
    }


def run_params(cfg: DictConfig) -> dict[str, Any]:
    """The composed config, flat, as the parameters of a tracked run: what a person would filter or plot by."""
    return dict(_flat({key: plain(cfg[key]) for key in ("cell", "optimizer", "schedule", "trainer")})) | {
        f"task.{key}": value for key, value in plain(cfg.task).items() if not isinstance(value, dict)
    }


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
