"""What the config says of the number of parameters of a net: as it comes, or matched to a number or a reference."""

from omegaconf import DictConfig, OmegaConf

from rnnlab.config.files import find
from rnnlab.config.fingerprint import fingerprint, source_digests

SIZING = "parameters"
"""In evaluated.json: under which policies of `parameters` the net was judged, for one size may answer several."""


def policy(cfg: DictConfig) -> str:
    """Of the net's size, as asked for: `free`, or `matched` with the number it was matched to, where that is known."""
    sizing = cfg[SIZING]
    return str(sizing.name) if sizing.name == "free" or sizing.count is None else f"{sizing.name} {sizing.count}"


def sizing_setting(cfg: DictConfig) -> dict[str, object]:
    """What decides the size beside the rest of the config, for those who cannot open the task; empty if it is free."""
    if cfg.parameters.name == "free":
        return {}
    content = OmegaConf.to_container(cfg.parameters, resolve=True)
    matched = cfg.parameters.count is not None
    reference = None if matched else OmegaConf.to_container(with_reference(cfg).cell, resolve=True)
    code = fingerprint(source_digests(["rnnlab.training.sizing"]))
    return {"parameters": content, "reference": reference, "sizing": code}


def with_reference(cfg: DictConfig) -> DictConfig:
    """The same config with the reference cell, as its own file has it."""
    copy = cfg.copy()
    OmegaConf.set_struct(copy, False)
    path, shared = find(f"cell/{cfg.parameters.reference}"), find("recurrent")
    assert path is not None  # `rnnlab.training.sizing` checks it
    assert shared is not None
    own = OmegaConf.load(path)
    assert isinstance(own, DictConfig)
    own.pop("defaults", None)
    copy.cell = OmegaConf.merge(OmegaConf.load(shared), own)
    return copy
