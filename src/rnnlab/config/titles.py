"""What a data set is called: a title for people, a slug for folders and registered models."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnnlab.addresses import shown
from rnnlab.config.files import read
from rnnlab.config.fingerprint import batch_options, plain
from rnnlab.results.paths import data_folder, root

LONGEST_TITLE, LONGEST_NAME, LONGEST_SLUG = 200, 60, 40
"""In characters: of a whole title, of a file or column within it, of a slug."""

OF_NODES = ("_target_", "name")
"""Keys of the data set and the data that are no options."""


@dataclass(frozen=True)
class DataName:
    """title: as "series: airline-passengers.csv, Passengers, 12 ahead". slug: of what is behind the task's name, in
    letters, digits and hyphens. digest: of the prepared arrays, which identifies the data set."""

    title: str
    slug: str
    digest: str

    @property
    def folder(self) -> str:
        """The folder of all that is made of it by hand, below that of the task."""
        return data_folder(self.slug, self.digest)


@runtime_checkable
class Worded(Protocol):
    """A data set that says what it is; of another the name is taken."""

    worded: ClassVar[tuple[str, ...]]
    """Options that `in_words` says, or that decide no data."""

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        """Parts of the title, such as a file and its column. facts: `meta` of the open task."""


def name_of_data(cfg: DictConfig, facts: Mapping[str, Any]) -> DataName:
    """What the data of a task is called: its name, the source in words, the question, and whatever else differs from
    the task's file in conf/. facts: `meta` of the open task."""
    dataset = instantiate(cfg.task.dataset)
    words, worded = (dataset.in_words(facts), dataset.worded) if isinstance(dataset, Worded) else ((), ())
    parts = [part for part in map(_readable, (*words, str(cfg.task.get("question") or ""))) if part]
    parts = parts or [str(cfg.task.dataset.name)]
    behind = _cut(", ".join([*parts, *_differing(cfg, worded)]), LONGEST_TITLE)
    digest = facts["digest"]
    # a title that a later version words otherwise must not lose what was trained under it
    known = sorted((root() / "runs" / cfg.task.name).glob(data_folder("*", digest)))
    slug = known[0].name.removesuffix(data_folder("", digest)) if known else slug_of(behind)
    return DataName(f"{cfg.task.name}: {behind}", slug, digest)


def slug_of(text: str) -> str:
    """Lower-case ascii letters, digits and hyphens, whole parts as long as there is room for them; never empty."""
    without_endings = re.sub(r"\.[A-Za-z]{2,7}(?=,|$)", "", text)
    # ü is u with a mark, which is left out; of other scripts nothing is left
    latin = unicodedata.normalize("NFKD", without_endings.casefold()).encode("ascii", "ignore").decode()
    parts = ["-".join(re.findall(r"[a-z0-9]+", re.sub(r"(?<=\d),(?=\d{3})", "", part))) for part in latin.split(", ")]
    first, *others = [part for part in parts if part] or ["data"]
    slug = first[:LONGEST_SLUG].strip("-")
    for part in others:
        if len(slug) + 1 + len(part) > LONGEST_SLUG:
            break
        slug += f"-{part}"
    return slug


def _readable(text: str) -> str:
    """In one line, of signs that can be printed."""
    return _cut("".join(sign for sign in " ".join(text.split()) if sign.isprintable()), LONGEST_NAME)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _differing(cfg: DictConfig, worded: tuple[str, ...]) -> Iterator[str]:
    """Options that decide the data and are another value than in conf/task, as key=value."""
    shipped = read(f"task/{cfg.task.name}")
    if shipped is None:
        return
    unresolved = OmegaConf.to_container(shipped, resolve=False)
    assert isinstance(unresolved, dict)
    asked = re.findall(r"\$\{\.(\w+)\}", str(unresolved.get("question")))
    done = {*OF_NODES, *worded, *asked, *batch_options(cfg)}
    for node in ("data", "dataset"):
        for key, value in plain(cfg.task[node]).items():
            if key in done or isinstance(value, dict):
                continue
            done.add(key)
            if value != _value(shipped, f"{node}.{key}"):
                yield f"{key}={_readable(_written(key, value))}"


def _value(shipped: DictConfig, key: str) -> Any:
    try:
        value = OmegaConf.select(shipped, key)
        return plain(value) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException:  # it takes its value from outside of the task
        return None


def _written(key: str, value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(_written(key, each) for each in value)}]"
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, str):
        return re.split(r"[/\\]", shown(value))[-1] if key.endswith("path") else shown(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
