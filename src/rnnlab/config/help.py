"""What --help says: each key of the composed config with its value, what it is for, and what may stand there."""

import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnnlab.addresses import shown
from rnnlab.arguments import Name, needed, written
from rnnlab.config.files import find, folders
from rnnlab.config.schema import Decides, declared

WIDTH = 34
"""Of the keys with their values; an explanation that such a pair leaves no place for begins a line of its own."""

COMMENTED = re.compile(r"(?P<indent> *)(?P<key>[\w-]+):(?P<value> .*?)?(?:  # (?P<comment>.*))?")
"""A line of conf/*.yaml."""


def explanation(cfg: DictConfig) -> str:
    """A line for each key of `cfg`: `key=value`, and beside it the text of the schema; or, of a key that only the class
    of its group declares, the comment in conf/."""
    comments = _comments(cfg)
    columns = max(80, min(160, shutil.get_terminal_size((120, 24)).columns))
    ours = OmegaConf.masked_copy(cfg, [str(name) for name in cfg if name != "hydra"])
    ours._set_parent(None)
    return "\n".join(line for leaf in _leaves(ours) for line in _lines(*leaf, comments, columns))


def _lines(key: str, value: str | None, source: str, comments: dict[str, str], columns: int) -> list[str]:
    own = declared().get(key)
    text = comments.get(key, "") if own is None else own.text
    if value is None:  # a group
        return ["", f"{key}: {text}"] if text else []
    notes = [f"as {source}"] if source else []
    if own is not None and own.kind is not Any:
        notes.append("a name" if own.kind == Name else needed(own.kind))
        notes += [] if own.decides is Decides.NOTHING else [f"decides {own.decides.value}"]
    text = " ".join([text, *([f"({'; '.join(notes)})"] if notes else [])]).strip()
    pair = f"{key}={value}"
    lines = textwrap.wrap(text, columns - WIDTH - 1) or [""]
    first = [f"{pair:{WIDTH}} {lines[0]}".rstrip()] if len(pair) <= WIDTH else [pair, *_indented(lines[:1])]
    return [*first, *_indented(lines[1:])]


def _indented(lines: list[str]) -> list[str]:
    return [f"{'':{WIDTH}} {line}" for line in lines if line]


def _leaves(node: DictConfig, prefix: str = "") -> Iterator[tuple[str, str | None, str]]:
    """Every key, its value as an override has it, or None for a group, and the key that it takes its value from, if
    any. The parts of a task repeat its keys under the same names, which are left out."""
    raw: Any = OmegaConf.to_container(node, resolve=False)
    names = [str(name) for name in node]
    groups = [name for name in names if isinstance(node._get_node(name), DictConfig)]
    for name in [*(name for name in names if name not in groups), *groups]:  # keys of a group stand below its name
        key = f"{prefix}{name}"
        if name in groups and OmegaConf.is_dict(node[name]):
            yield key, None, ""
            yield from _leaves(node[name], f"{key}.")
        elif raw[name] != f"${{..{name}}}":
            source = re.fullmatch(r"\$\{([\w.]+)\}", str(raw[name]))
            yield key, _value(node, name), source[1] if source else ""


def _value(node: DictConfig, name: str) -> str:
    try:
        value = node[name]
    except OmegaConfBaseException:
        return "???"
    plain = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    if isinstance(plain, list):
        return f"[{','.join(map(written, plain))}]"
    return written(shown(plain) if isinstance(plain, str) else plain) if plain != "" else "''"


def _comments(cfg: DictConfig) -> dict[str, str]:
    """Of the files of conf/ that `cfg` is composed of, the comment beside each key."""
    found: dict[str, str] = {}
    # Hydra names no choice of a group of which several are taken
    choices = [*cfg.hydra.runtime.choices.items(), *(("callbacks", name) for name in cfg.callbacks)]
    for group, choice in choices:
        if isinstance(choice, str) and not str(group).startswith("hydra"):
            for path in _files(f"{group}/{choice}", folders(cfg.hydra)):
                found = {f"{group}.{key}": text for key, text in _of_file(path).items()} | found
    return found


def _files(name: str, among: Sequence[Path]) -> Iterator[Path]:
    """A file of the config, and those in its list of defaults."""
    path = find(name, among)
    if path is None:
        return
    yield path
    content = OmegaConf.load(path)
    for default in content.get("defaults", ()) if isinstance(content, DictConfig) else ():
        if isinstance(default, str) and default != "_self_":
            other = default.partition("@")[0]
            group = "" if other.startswith("/") else f"{name.rpartition('/')[0]}/"
            yield from _files(f"{group}{other.lstrip('/')}", among)


def _of_file(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = COMMENTED.fullmatch(line)
        if match is None:
            continue
        depth = len(match["indent"])
        above = [(at, key) for at, key in above if at < depth]
        above.append((depth, match["key"]))
        if match["comment"]:
            found[".".join(key for _, key in above)] = match["comment"]
    return found
