"""The composed config: what of it decides a result, and the short hash that names that."""

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from importlib.util import resolve_name as resolve_relative
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from rnnlab.addresses import shown
from rnnlab.config.schema import ADDRESSES, Decides, decides, deciding

SOURCE = Path(__file__).resolve().parents[1]

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

NEUTRAL = tuple(
    f"rnnlab.{name}"
    for name in (
        "addresses",
        "arguments",
        "commands",
        "config",
        "diagnosis.figures",
        "diagnosis.gradients",
        "diagnosis.jacobian",
        "diagnosis.memory_length",
        "extras",
        "output",
        "report.length_sweep",
        "report.selection",
        "results.locks",
        "serving",
        "tracking",
        "training.check",
        "training.keep_samples",
        "training.progress",
        "training.sizing",
    )
)
"""Modules that no number of a result depends on, but for the time it took: editing them reruns nothing."""

SOURCES_OF_DATA = ("rnnlab.datasets", "rnnlab.data.download", "rnnlab.data.tables", "rnnlab.training.prepare")
"""Modules that a trained net depends on through the prepared data alone, whose digest is part of its setting."""

SCHEMA = 1
"""Of the prepared arrays and their meta.json; raised when older ones can no longer be read."""


def plain(node: Any) -> Any:
    """A config node as dicts and lists, every interpolation resolved."""
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)


def save_config(cfg: DictConfig, path: Path) -> None:
    """As YAML, every interpolation resolved, without the groups and keys that hold `ADDRESSES`; of other addresses what
    may be shown."""
    kept = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in ADDRESSES])
    content: Any = OmegaConf.to_container(kept, resolve=True)
    for group, _, key in (name.partition(".") for name in ADDRESSES):
        if key:
            content.get(group, {}).pop(key, None)
    OmegaConf.save(OmegaConf.create(shown_in(content)), path)


def words_to_keep(words: Iterable[str]) -> list[str]:
    """Of a command line's overrides, those that say what is run, and not at which addresses: see `save_config`. Of a
    key that is given twice, the last."""
    last: dict[str, str] = {}
    for word in words:
        key = word.lstrip("+~").partition("=")[0]
        last.pop(key, None)
        if not key.startswith(ADDRESSES):
            last[key] = shown(word)
    return list(last.values())


def shown_in(node: Any) -> Any:
    """A config node as dicts and lists, its addresses as they may be shown."""
    if isinstance(node, dict):
        return {key: shown_in(child) for key, child in node.items()}
    if isinstance(node, list):
        return [shown_in(child) for child in node]
    return shown(node) if isinstance(node, str) else node


def fingerprint(content: Any) -> str:
    """Ten hexadecimal digits that stand for `content`, any plain JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def named_in(node: Any) -> list[str]:
    """The classes that a config node names, at any depth."""
    if isinstance(node, DictConfig):
        node = plain(node)
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    own = [str(node["_target_"])] if isinstance(node, dict) and "_target_" in node else []
    return own + [target for child in children for target in named_in(child)]


def source_digests(
    targets: Iterable[str], without: tuple[str, ...] = (), packages: Iterable[str] = ()
) -> dict[str, str]:
    """A digest of each file that the named modules or classes import, directly or through others: rnnlab's, and those
    of the user's own `packages`.

    `NEUTRAL` modules are not followed, nor are those `without`.

    The digest is of the syntax tree without docstrings: a comment or a new line break changes nothing.
    """
    followed = ("rnnlab", *map(str, packages))
    digests: dict[str, str] = {}
    pending = [_module_of(target, followed) for target in targets]
    while pending:
        module = pending.pop()
        path = _path_of(module, followed)
        ours = path is not None and path.is_relative_to(SOURCE)
        name = path.relative_to(SOURCE).as_posix() if path and ours else module
        if path is None or name in digests:
            continue
        digests[name], imports = _digest_and_imports(path, module)
        found = {_module_of(name, followed) for name in imports}
        pending += [module for module in found if not _lies_in(module, NEUTRAL + without)]
    return dict(sorted(digests.items()))


def _lies_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@cache
def _module_of(target: str, packages: tuple[str, ...] = ("rnnlab",)) -> str:
    """rnnlab.modules.lstm.LSTM -> rnnlab.modules.lstm"""
    while target and _path_of(target, packages) is None:
        target = target.rpartition(".")[0]
    return target


def _path_of(module: str, packages: tuple[str, ...] = ("rnnlab",)) -> Path | None:
    if not _lies_in(module, packages):
        return None
    package, _, rest = module.partition(".")
    if package != "rnnlab":
        return _path_of_another(module)
    path = SOURCE.joinpath(*rest.split(".")) if rest else SOURCE
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _path_of_another(module: str) -> Path | None:
    """The file of a module of the user's own, wherever Python finds it."""
    try:
        spec = find_spec(module)
    except (ImportError, AttributeError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


@cache
def _digest_and_imports(path: Path, module: str) -> tuple[str, frozenset[str]]:
    """Of one file: its digest, and the full names of all that it imports."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(path.read_bytes())
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            of = resolve_relative("." * node.level + (node.module or ""), package)
            imports |= {f"{of}.{alias.name}" for alias in node.names}
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    digest = hashlib.sha256(ast.dump(tree).encode())
    for beside in (path.with_suffix(".h"), path.with_suffix(".html.jinja")):
        if beside.exists():  # what a module compiles or fills in is as much its code
            digest.update(beside.read_bytes())
    return digest.hexdigest()[:16], frozenset(imports)


def _sources(cfg: DictConfig, targets: Iterable[str], without: tuple[str, ...] = ()) -> dict[str, str]:
    """Of rnnlab and of the packages that the command line names, see `rnnlab.config.names`."""
    return source_digests(targets, without, cfg.get("packages") or ())


def fetch_setting(cfg: DictConfig) -> dict[str, Any]:
    """All that decides what is fetched: the data set's options, the content of a user's own file, and the code."""
    dataset = instantiate(cfg.task.dataset)
    dataset.check()
    return {"dataset": dataset.fingerprint(), "sources": _sources(cfg, [cfg.task.dataset._target_])}


def data_setting(cfg: DictConfig) -> dict[str, Any]:
    """All that decides the prepared arrays."""
    options = plain(cfg.task.data)
    targets = [options["_target_"], cfg.task.dataset._target_]
    for key in batch_options(cfg):
        options.pop(key, None)
    return {**fetch_setting(cfg), "schema": SCHEMA, "data": options, "sources": _sources(cfg, targets)}


def batch_options(cfg: DictConfig) -> tuple[str, ...]:
    """Options of task.data that the prepared arrays do not depend on: those that the task's config names."""
    return tuple(cfg.task.get("batch_options") or ())


def train_setting(cfg: DictConfig) -> dict[str, Any]:
    """All that decides a trained net, but for its seed and the prepared arrays."""
    targets = [*named_in(cfg.cell), *named_in(cfg.task.data), *named_in(cfg.task.net), "rnnlab.training.train"]
    spent = {"budget": plain(cfg.budget)} if cfg.budget.name != "epochs" else {}
    if cfg.budget.name == "seconds":  # what else decides rounding alone decides here how far a training comes
        trainer = plain(cfg.trainer).items()
        spent["machine"] = {key: value for key, value in trainer if decides(f"trainer.{key}") is Decides.ROUNDING}
    if callbacks := deciding_callbacks(cfg):
        spent["callbacks"] = callbacks
        targets += named_in(callbacks)
    if cfg.tuning.get("trials"):  # the net is that of the same values by hand, but not what it took to find them
        spent["tuning"] = plain(cfg.tuning)
    groups = {key: plain(cfg[key]) for key in ("cell", "optimizer", "schedule", "trainer") if cfg[key] is not None}
    return {key: deciding(group, key) for key, group in groups.items()} | {
        **spent,
        "task": plain(cfg.task.data),
        "net": plain(cfg.task.net),
        "sources": _sources(cfg, targets, SOURCES_OF_DATA),
    }


def deciding_callbacks(cfg: DictConfig) -> dict[str, Any]:
    """Those that may change a training, by name: all but ours, which only look into it."""
    named = {str(name): plain(node) for name, node in cfg.callbacks.items() if node is not None}
    return {name: node for name, node in named.items() if not _lies_in(node["_target_"], NEUTRAL)}


def baseline_setting(cfg: DictConfig) -> dict[str, Any]:
    """All that decides what baselines reach: of the task's options no such as shape batches."""
    task = plain(cfg.task.data)
    parts = {part: plain(cfg.task[part]) for part in ("judging", "baselines")}
    targets = [*named_in(cfg.task.data), *named_in(parts), "rnnlab.training.baseline"]
    return {
        "task": {key: value for key, value in task.items() if key == "loss" or key not in batch_options(cfg)},
        **parts,
        "sources": _sources(cfg, targets, SOURCES_OF_DATA),
    }


def evaluate_setting(cfg: DictConfig) -> dict[str, Any]:
    """All that decides how the predictions of a trained net are made, judged and drawn."""
    parts = {part: plain(cfg.task[part]) for part in ("judging", "figures")}
    targets = [*named_in(cfg.cell), *named_in(cfg.task.data), *named_in(cfg.task.net), *named_in(parts)]
    judging = ("rnnlab.training.evaluate", "rnnlab.diagnosis.activations")  # the latter is handed down by commands/
    return {
        "task": plain(cfg.task.data),
        **parts,
        "sources": _sources(cfg, [*targets, *judging], SOURCES_OF_DATA),
    }


def run_params(cfg: DictConfig) -> dict[str, Any]:
    """The composed config, flat, as the parameters of a tracked run: what a person would filter or plot by.

    A group stands for itself by its cell's name or its class, and what is not set is left out.
    """
    params: dict[str, Any] = {"cell": cfg.cell.name}
    for group in ("cell", "optimizer", "schedule", "trainer", "task"):
        for key, value in deciding(plain(cfg[group]) or {}, group).items():
            if key == "_target_" and group != "cell":
                params[group] = value.rpartition(".")[2]
            elif key not in ("_target_", "name") and value is not None and not isinstance(value, dict):
                params[f"{group}.{key}"] = value
    params |= {"budget" if key == "name" else f"budget.{key}": value for key, value in cfg.budget.items() if value}
    net = plain(cfg.task.net)
    params["net"] = net.pop("_target_").rpartition(".")[2]
    params |= {f"net.{key}": value for key, value in net.items() if value is not None}
    for name, node in deciding_callbacks(cfg).items():
        params[f"callbacks.{name}"] = node["_target_"].rpartition(".")[2]
        params |= {f"callbacks.{name}.{key}": value for key, value in node.items() if key != "_target_"}
    shown_params: dict[str, Any] = shown_in(params)
    return shown_params
