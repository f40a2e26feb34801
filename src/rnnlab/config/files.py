"""Files of the config, wherever Hydra would find them: in conf/, or in a folder of --config-dir."""

from collections.abc import Iterable
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from rnnlab.results.paths import CONF


def folders(hydra: DictConfig | None = None) -> list[Path]:
    """Those that are searched, in order. hydra: that part of a config, by default of the one of this process."""
    if hydra is None and HydraConfig.initialized():
        hydra = HydraConfig.get()  # type: ignore[assignment]  # declared as its dataclass
    sources = hydra.runtime.config_sources if hydra is not None else ()
    paths = [Path(source.path) for source in sources if source.schema == "file"]
    return paths or [CONF]


def find(name: str, among: Iterable[Path] | None = None) -> Path | None:
    """The first file of this name, such as `cell/lstm`; None where there is none."""
    paths = (folder / f"{name}.yaml" for folder in (folders() if among is None else among))
    return next((path for path in paths if path.is_file()), None)
