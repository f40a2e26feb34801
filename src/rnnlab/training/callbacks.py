"""The callbacks that the config names."""

from pathlib import Path

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback

from rnnlab.arguments import refusal
from rnnlab.errors import UserError
from rnnlab.tasks.task import Task
from rnnlab.tracking.callback import RunCallback

MONITORED = ("loss/validation", "loss/train")
"""What a callback may watch in training."""


def make_callbacks(cfg: DictConfig) -> list[Callback]:
    """Raises: `UserError` for options that a callback cannot work with, before any data is touched."""
    made = {str(name): _make(str(name), node) for name, node in cfg.callbacks.items() if node is not None}
    _check_states(made)
    return list(made.values())


def bound_callbacks(cfg: DictConfig, task: Task, folder: Path) -> list[Callback]:
    """Shown the run: see `RunCallback.bind`."""
    callbacks = make_callbacks(cfg)
    for callback in callbacks:
        if isinstance(callback, RunCallback):
            callback.bind(cfg, task, folder)
    return callbacks


def _check_states(made: dict[str, Callback]) -> None:
    """Raises: `UserError` for two that a checkpoint cannot tell apart, which Lightning refuses."""
    names: dict[str, str] = {}
    for name, callback in made.items():
        if type(callback).state_dict is Callback.state_dict:
            continue
        other = names.setdefault(callback.state_key, name)
        if other != name:
            raise UserError(
                f"callbacks.{other} and callbacks.{name} would keep their state under the same key, "
                f"{callback.state_key}: leave one out, or let them differ in an option that the key names."
            )


def _make(name: str, node: DictConfig) -> Callback:
    try:
        made = instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise UserError(f"callbacks.{name}.{cause}") from None
        raise UserError(f"callbacks.{name}: {cause or error}.") from None
    monitored = getattr(made, "monitor", None)
    if monitored is not None and monitored not in MONITORED:
        raise UserError(refusal(f"callbacks.{name}.monitor", f"one of {', '.join(MONITORED)}", monitored))
    if not isinstance(made, Callback):
        raise UserError(f"callbacks.{name}._target_={node._target_}: this is no callback of Lightning's.")
    return made
