"""Files of the config, where Hydra finds them: in rnnlab's conf/, a folder of --config-dir, the workspace's conf/."""

from collections.abc import Iterable
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.version import setbase
from omegaconf import DictConfig, OmegaConf, open_dict

from rnnlab.errors import UserError
from rnnlab.results.paths import CONF, root

IN_CIRCLES = "the config cannot be read: a file of it names itself in its defaults."


def own_conf() -> Path | None:
    """The workspace's own conf/, which is searched after rnnlab's; None where there is no other."""
    folder = root() / "conf"
    return folder if folder.is_dir() and not folder.samefile(CONF) else None


def add_own_conf(search_path: ConfigSearchPath) -> None:
    """Let Hydra search the workspace's conf/ last.

    Raises: `UserError` for a file there, or in a folder of --config-dir, that would never be read.
    """
    own = own_conf()
    if own is not None:
        search_path.prepend("workspace", f"file://{own}", SearchPathQuery(provider="schema"))
    for each in search_path.get_path():
        folder = Path((each.path or "").removeprefix("file://"))
        if each.provider in ("workspace", "command-line") and not folder.samefile(CONF):
            _check_names(folder, " If that folder is not for rnnlab, set RNNLAB_ROOT." if folder == own else "")


def _check_names(folder: Path, hint: str) -> None:
    groups = [each.name for each in CONF.iterdir() if each.is_dir()]
    paths = [*folder.glob("config.yaml"), *folder.glob("recurrent.yaml")]
    paths += [path for group in groups for path in sorted((folder / group).rglob("*.yaml"))]
    hidden = [path for path in paths if (CONF / path.relative_to(folder)).is_file()]
    if hidden:
        more = f" (and {len(hidden) - 1} more)" if len(hidden) > 1 else ""
        raise UserError(
            f"{hidden[0]}{more} would never be read, because rnnlab has a conf/{hidden[0].relative_to(folder)} itself: "
            f"give it another name.{hint}"
        )
    if (folder / "tuned/none").exists():
        raise UserError(f"{folder / 'tuned/none'}: tuning=none, the default, applies no settings; use another name.")


def compose_config(overrides: Iterable[str]) -> DictConfig:
    """The config of a command that is given these overrides."""
    setbase("1.3")
    search_path = create_config_search_path(str(CONF))
    add_own_conf(search_path)
    loader = ConfigLoaderImpl(search_path)
    try:
        cfg = loader.load_configuration("config", [*overrides], RunMode.RUN, from_shell=False)
    except RecursionError:
        raise UserError(IN_CIRCLES) from None
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg


def folders(hydra: DictConfig | None = None) -> list[Path]:
    """Those that are searched, in order. hydra: that part of a config, by default of the one of this process."""
    if hydra is None and HydraConfig.initialized():
        hydra = HydraConfig.get()  # type: ignore[assignment]  # declared as its dataclass
    sources = hydra.runtime.config_sources if hydra is not None else ()
    paths = [Path(source.path) for source in sources if source.schema == "file"]
    return paths or [CONF, *filter(None, [own_conf()])]


def read(name: str) -> DictConfig | None:
    """The content of a file, such as `cell/lstm`, over that of the files that its defaults name; no interpolation is
    resolved. None where there is no such file."""
    path = find(name)
    if path is None:
        return None
    content = OmegaConf.load(path)
    assert isinstance(content, DictConfig)
    others = [each for each in content.pop("defaults", ()) if isinstance(each, str) and each != "_self_"]
    group = name.rpartition("/")[0]
    # "/recurrent@_here_" is the file of that name at the top
    names = [each[1:].partition("@")[0] if each.startswith("/") else f"{group}/{each}" for each in others]
    merged = OmegaConf.merge(*(each for each in map(read, names) if each is not None), content)
    assert isinstance(merged, DictConfig)
    return merged


def find(name: str, among: Iterable[Path] | None = None) -> Path | None:
    """The first file of this name, such as `cell/lstm`; None where there is none."""
    paths = (folder / f"{name}.yaml" for folder in (folders() if among is None else among))
    return next((path for path in paths if path.is_file()), None)
