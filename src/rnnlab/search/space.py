"""The search space as conf/search has it: which keys of the config are tried, and over what."""

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from rnnlab.arguments import INVALID, conform, needed, refusal
from rnnlab.config.checking import check
from rnnlab.config.fingerprint import plain, shown_in
from rnnlab.config.schema import GROUPS_OF_A_RUN, MADE, decides_a_run
from rnnlab.errors import UserError

HELD_EQUAL = ("budget", "parameters", "tuning")
"""Groups by which the trials, and the cells, are kept comparable: nothing of them is searched."""

RANGE, CHOICE = {"low", "high", "log", "step"}, {"choices"}


def distributions(cfg: DictConfig) -> dict[str, BaseDistribution]:
    """Dotted key of the config -> what it is drawn from. In `cfg`, its values get the types of that key.

    Raises: `UserError` for a key that the config has not, or that may not be searched, for ends that are none, and for
    values of another type than the key's.
    """
    found = {}
    for key, leaf in _leaves(plain(cfg.search.space), ""):
        groups = [group for group in GROUPS_OF_A_RUN if group not in HELD_EQUAL]
        if key.partition(".")[0] not in groups or not decides_a_run(key):
            raise UserError(
                f"search.space.{key}: only keys of {', '.join(groups)} that decide a training can be searched."
            )
        if OmegaConf.select(cfg, key, default="absent") == "absent":
            raise UserError(
                f"search.space.{key}: there is no config key {key} for task={cfg.task.name} cell={cfg.cell.name}."
            )
        if key == "cell.hidden_size" and cfg.parameters.name != "free":
            raise UserError(
                "parameters=matched chooses cell.hidden_size, which cannot be searched as well: add "
                "search.space.cell.hidden_size=null."
            )
        leaf = _typed(cfg, key, leaf)
        OmegaConf.update(cfg, f"search.space.{key}", leaf)
        found[key] = _distribution(key, leaf)
    if not found:
        raise UserError("search.space is empty: there is nothing to search.")
    return found


def starting_point(cfg: DictConfig, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """What the config itself says of the searched keys, where the space has it."""
    values = {key: OmegaConf.select(cfg, key) for key in space}
    return {key: value for key, value in values.items() if _contains(space[key], value)}


def with_values(cfg: DictConfig, values: Mapping[str, Any]) -> DictConfig:
    """A copy of the config with other values."""
    result = cfg.copy()
    for key, value in values.items():
        OmegaConf.update(result, key, value)
    return result


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """{"optimizer.lr": 1} -> {"optimizer": {"lr": 1}}"""
    tree = OmegaConf.create()
    for key, value in values.items():
        OmegaConf.update(tree, key, value)
    result: dict[str, Any] = plain(tree)
    return result


def _leaves(node: Any, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, child in node.items():
        key = f"{prefix}{name}"
        if "." in str(name):
            raise UserError(f"search.space: {name} must be written key by key, as {{{name.replace('.', ': {')}: ...")
        if child is None:
            continue
        if not isinstance(child, dict):
            raise UserError(refusal(f"search.space.{key}", "{low, high}, {choices} or null", child))
        if child.keys() & (RANGE | CHOICE) and not any(isinstance(value, dict) for value in child.values()):
            yield key, child
        else:
            yield from _leaves(child, f"{key}.")


def _typed(cfg: DictConfig, key: str, leaf: dict[str, Any]) -> dict[str, Any]:
    """The leaf, its values being what the config would have them be under this key."""

    def typed(value: Any) -> Any:
        candidate = with_values(cfg, {key: value})
        try:
            check(candidate, [node for node in MADE if key.startswith(f"{node}.")])
        except UserError as error:
            raise UserError(f"search.space.{error}") from None
        return OmegaConf.select(candidate, key)

    result = dict(leaf)
    for name, value in leaf.items():
        if name == "choices" and isinstance(value, list):
            result[name] = [choice if isinstance(choice, list | dict) else typed(choice) for choice in value]
        elif name == "log":
            result[name] = conform(value, bool)
            if result[name] is INVALID:
                raise UserError(refusal(f"search.space.{key}.log", needed(bool), value))
        elif name in ("low", "high") or (name == "step" and value is not None):
            result[name] = typed(value)
    return result


def _distribution(key: str, leaf: dict[str, Any]) -> BaseDistribution:
    try:
        if leaf.keys() == CHOICE:
            return CategoricalDistribution(_plain_choices(leaf["choices"]))
        if not {"low", "high"} <= leaf.keys() <= RANGE:
            raise ValueError("{low, high}, with log or step, or {choices} is needed")
        low, high, log, step = leaf["low"], leaf["high"], leaf.get("log", False), leaf.get("step")
        if all(isinstance(number, int) for number in (low, high, step) if number is not None):
            return IntDistribution(low, high, log, 1 if step is None else step)
        return FloatDistribution(low, high, log, step)
    except (ValueError, TypeError) as error:
        raise UserError(f"search.space.{key}: {error}.") from None


def _plain_choices(choices: Any) -> list[Any]:
    if not isinstance(choices, list) or any(isinstance(choice, list | dict) for choice in choices):
        raise ValueError("choices is a list of numbers, words, true, false or null")
    if shown_in(choices) != choices:
        raise ValueError("the choices are kept, so an address among them may have no user, password, query or fragment")
    return choices


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False
