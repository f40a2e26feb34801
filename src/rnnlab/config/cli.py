"""What every entry point shares: Hydra around it, one message for a mistake, the exit code of a stopped process."""

import atexit
import errno
import gc
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial, update_wrapper
from pathlib import Path
from pkgutil import resolve_name
from types import FrameType
from typing import Any

import hydra
import hydra._internal.hydra as hydra_internals
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException
from yaml import YAMLError

from rnnlab.addresses import shown, without_secrets
from rnnlab.config.checking import add_faults_of_made, faults, refuse, unresolved
from rnnlab.config.files import IN_CIRCLES, add_own_conf, compose_config
from rnnlab.config.help import explanation
from rnnlab.config.lockfiles import keep
from rnnlab.config.names import check_hydra, given_packages
from rnnlab.errors import MissingExtra, UserError
from rnnlab.output import Lines, close_meter, until_nobody_reads
from rnnlab.results.files import NO_FOLDER, NO_ROOM
from rnnlab.results.paths import CONF, root, store_root, workspaces

log = logging.getLogger("rnnlab")


HELP = """{command} [group=option] [key=value] [+key=value] [-m]

Groups of the config, and the options of each (group=option):

$APP_CONFIG_GROUPS
Keys, with their values under these options (key=value); +key=value for one that a group's class takes besides:
{keys}

A sweep over all combinations: -m cell=rnn,lstm seed=0,1,2. Of Hydra itself: --hydra-help."""
"""Hydra fills in the groups."""


ANSWERS = frozenset(("--help", "-h", "--cfg", "-c", "--info", "-i"))
"""Flags under which Hydra answers by itself, and no job is checked."""

PYTHONS_OWN = (signal.SIG_DFL, signal.default_int_handler)
"""Handlers of signals that nobody has chosen."""

_unknown: list[str] = []
"""Keys of the last loaded config that were only added so that all its faults can be named."""


class Stopped(SystemExit):
    """A signal ended the process. Its exit code is 128 + the signal's number, as a shell would have it."""


@dataclass(frozen=True)
class Command:
    """A job under a config, and what is settled before it begins.

    text: what it is for. job: the function of the config, by its name. makes: the nodes of the config that it makes
    objects of, whose options are checked beside all other keys and `tracking`. settings: the function, by its name,
    that finds what of these cannot work; it is given the config and the faults that are known, by key, and adds its
    own. answers: whether standard output is for what it answers, and all else goes to standard error.

    What the job returns is its value: Hydra's sweepers take it for what they optimise.
    """

    text: str
    job: str
    makes: tuple[str, ...] = ()
    settings: str | None = None
    answers: bool = False

    def run(self, name: str) -> None:
        """Do the job under the config that conf/ and the command line give. name: what it is called by a person.

        A `UserError` is printed as its message alone, at once (the other jobs of a sweep go on), and ends in exit code
        2; SIGINT, SIGTERM and SIGHUP unwind the process and end in 130, 143 and 129. A job of a sweep that lacks an
        optional package is skipped with the reason, and counts as no error.
        """
        _settle(self)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands exceptions on instead of printing them
        try:
            with until_nobody_reads(), _checked_loading(), _starting():
                # with `_do`'s name and module, which Hydra asks a job for
                job = update_wrapper(partial(_do, self, name), _do)
                hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(job)()
        except Reported as error:
            sys.exit(error.code)
        except (UserError, OSError) as error:  # of `CheckedLoader`
            sys.exit(report(error))
        except (HydraException, OmegaConfBaseException) as error:
            print(f"error: {without_secrets(_explain(error))}", file=sys.stderr)
            sys.exit(2)

    def subject(self, cfg: DictConfig) -> list[str]:
        """What of the config it works on, in a few words."""
        if "cell" in self.makes:
            return [f"{cfg.task.name}/{cfg.cell.name}", "of all seeds" if cfg.dvc else f"seed {cfg.seed}"]
        return [cfg.task.name] if self.makes else []


def _do(command: Command, name: str, cfg: DictConfig) -> Any:
    _settle(command)  # a sweep's jobs may run in processes of their own
    single = HydraConfig.get().mode == RunMode.RUN
    try:
        keep(Path.cwd())
        _find_packages(cfg.packages)  # in a process of its own, the loader of the config was not made
        check_job(command, cfg, name)
        if single and HydraConfig.get().runtime.choices.get("cluster", "local") != "local":
            raise UserError(f"cluster={HydraConfig.get().runtime.choices['cluster']} runs the jobs of a sweep: add -m.")
        _started()
        return resolve_name(command.job)(cfg)
    except Exception as error:
        if isinstance(error, MissingExtra) and not single:
            log.warning("%s: skipped. %s", " ".join(HydraConfig.get().overrides.task), error)
            return None
        close_meter()
        reported = Reported(report(error), in_words(error))
        if single:  # of an exception Hydra would print the command line too, with the secrets in it
            sys.exit(reported.code)
        raise reported from None


def check_job(command: Command, cfg: DictConfig, name: str = "") -> None:
    """Check the config of a job, which is Hydra's own as well, with all that the job makes.

    name: of the command, which is logged with the job's subject as soon as the config's own keys are right.

    Raises: `UserError` that names every fault.
    """
    found = faults(cfg)
    if not found and name:  # said before the classes of what is made are imported for their check: that takes seconds
        log.info("%s, in %s", " ".join([name, *command.subject(cfg)]), _place())
    add_faults_of_made(cfg, ("tracking", *command.makes), found)
    found |= _unknown_keys(cfg) | {fault: fault for fault in _unread_groups()}
    if command.settings is not None:
        resolve_name(command.settings)(cfg, found)
    refuse(found)


def _find_packages(packages: Sequence[str]) -> None:
    """Let those of the user's own be imported from the workspace, too, after all other places."""
    if packages and str(root()) not in sys.path:
        sys.path.append(str(root()))


def _place() -> str:
    """The root, and where it stands if that may surprise."""
    here = root()
    around = next(workspaces(here.parent), None)
    within = f", a workspace within that of {around}" if around and store_root() == here else ""
    return f"{here}{within}"


class CheckedLoader(ConfigLoaderImpl):
    """Hydra's own loader of configs, which searches the workspace's conf/ too.

    Two things are settled before anything that a config names is made.

    Its `packages` are those of the command line and the environment, whatever a file says; and Hydra's own part of it
    names nothing else. A launcher takes this object along to the processes that it starts.

    Raises: `UserError` as `given_packages`, `add_own_conf` and `check_hydra` do.
    """

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        add_own_conf(config_search_path)
        super().__init__(config_search_path)
        self.packages = given_packages(sys.argv[1:], os.environ)
        _find_packages(self.packages)

    def get_group_options(
        self,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
        config_name: str | None = None,
        overrides: list[str] | None = None,
    ) -> list[str]:
        """As Hydra's own, which copies all its sources for each of the groups that --help lists."""
        if config_name is None and not overrides:  # nothing that could add a source
            options: list[str] = self.repository.get_group_options(group_name, results_filter)
        else:
            options = super().get_group_options(group_name, results_filter, config_name, overrides)
        return options

    def load_configuration(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *args: Any, **kwargs: Any
    ) -> DictConfig:
        """As Hydra's own. A key that the config of a job has not is added to it: the check names it, with all else."""
        _unknown.clear()
        try:
            while True:
                try:
                    cfg: DictConfig = super().load_configuration(config_name, overrides, run_mode, *args, **kwargs)
                    break
                except ConfigCompositionException as error:
                    key = _unknown_key(error)
                    if key is None or run_mode != RunMode.RUN or not ANSWERS.isdisjoint(sys.argv):
                        raise
                    added = [f"++{word}" if word.partition("=")[0] == key else word for word in overrides]
                    if added == overrides:
                        raise
                    overrides = added
                    _unknown.append(key)
        except RecursionError:
            raise UserError(IN_CIRCLES) from None
        except (ValueError, YAMLError) as error:
            # a group that is given null or a number, or a file of one's own that is no YAML
            hint = "; a group takes the name of one of its files" if "group override" in str(error) else ""
            raise UserError(f"the config cannot be read: {' '.join(str(error).split())}{hint}.") from None
        with open_dict(cfg):
            cfg.packages = list(self.packages)
        if "--hydra-help" not in sys.argv:  # which is answered from Hydra's own config
            check_hydra(cfg, self.packages)
        if not {"--help", "-h"}.isdisjoint(sys.argv):
            cfg.hydra.help.template = HELP.format(command=_program(), keys=_literal(explanation(cfg)))
        return cfg


def _program() -> str:
    """As it was called."""
    program = sys.argv[0]
    return f"python pipelines/{Path(program).name}" if program.endswith(".py") else program


def _unknown_key(error: Exception) -> str | None:
    """Of an override, where the config has no such key."""
    key = re.search(r"Could not override '([^']+)'", str(error))
    return key[1] if key else None


def _unknown_keys(cfg: DictConfig) -> dict[str, str]:
    """What is wrong with the keys that the config of this job has not."""
    known = [key for key in _keys_of(cfg) if key not in _unknown] if _unknown else []
    return {key: f"there is no config key {key}.{_nearest(key, known)}" for key in _unknown}


def _literal(text: str) -> str:
    """As a part of a template, and of a config: neither reads anything into it."""
    return text.replace("$", "$$").replace("$${", "$\\${")


@contextmanager
def _checked_loading() -> Iterator[None]:
    """Hydra has no other place between composing a config and making what it names."""
    hydra_internals.ConfigLoaderImpl = CheckedLoader  # type: ignore[attr-defined]
    try:
        yield
    finally:
        hydra_internals.ConfigLoaderImpl = ConfigLoaderImpl  # type: ignore[attr-defined]


def _settle(command: Command) -> None:
    """Plain lines; a signal unwinds the process."""
    stream = sys.stderr if command.answers else sys.stdout
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[Lines(stream)], force=True)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # else it reports that it has looked for fonts
    OmegaConf.register_new_resolver("rnnlab_root", lambda: str(root()), replace=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # whoever runs the jobs of a sweep may have a handler of its own
        if signal.getsignal(number) in PYTHONS_OWN:
            signal.signal(number, _stop)


@contextmanager
def _starting() -> Iterator[None]:
    """Switch the garbage collector off until `_started`, for the first entry point of this process.

    What is imported and looked up until then stays until the process ends. The collector would walk all of it time and
    again while it grows, and once more at the end: with torch and Lightning a third of the time that they take.
    """
    if gc.get_freeze_count() == 0:
        gc.disable()
        atexit.register(gc.freeze)
    try:
        yield
    finally:
        gc.enable()


def _started() -> None:
    """Collect garbage again, but for what is there by now. A later job of a sweep finds this done."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


class Reported(Exception):
    """An error that was already printed. code: to exit with. text: what it says, in one line."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


def in_words(error: Exception) -> str:
    """What an error says, in one line without secrets."""
    error = _as_user_error(error)
    text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    return without_secrets(" ".join(text.split()))


def report(error: Exception) -> int:
    """Print what the user can correct as one line, anything else with its traceback. Returns: the exit code."""
    error = _as_user_error(error)
    mistake = isinstance(error, UserError)
    text = f"error: {error}" if mistake else "".join(traceback.format_exception(error)).rstrip()
    print(without_secrets(text), file=sys.stderr, flush=True)
    return 2 if mistake else 1


def _as_user_error(error: Exception) -> Exception:
    """As a `UserError`, if the user can correct it; otherwise the error itself, or that of the class that the config
    names."""
    if isinstance(error, InstantiationException):
        cause = error.__cause__
        if isinstance(cause, UserError | OSError):
            error = cause
        elif isinstance(cause, TypeError) and "unexpected keyword argument" in str(cause):
            error = UserError(f"{cause}. Options are set in conf/ or on the command line as group.key=value.")
        else:
            return cause if isinstance(cause, Exception) else error
    if isinstance(error, InterpolationResolutionError):
        return UserError(unresolved(error))
    if isinstance(error, ConfigCompositionException | OverrideParseException):  # of another config than the job's own
        return UserError(_explain(error))
    if isinstance(error, OSError):
        # NumPy gives no number when only part of an array could be written
        number = errno.ENOSPC if error.errno is None and "written" in str(error) else error.errno
        if number not in _REMEDIES:
            return error
        what = error.strerror or str(error)
        return UserError(f"cannot write {error.filename or root()}: {what}. {_REMEDIES[number]}")
    return error


_REMEDIES = {
    **dict.fromkeys(NO_FOLDER, "Set RNNLAB_ROOT to a folder that can be written, or change its permissions."),
    **dict.fromkeys(NO_ROOM, "Make room, or set RNNLAB_ROOT to a folder on another disk."),
    errno.EFBIG: "The limit on a file's size is too low (see `ulimit -f`).",
}


def _stop(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough
    with suppress(OSError):  # of a terminal that was closed
        print("\nstopped; a run goes on from its last epoch when the same command is given again", file=sys.stderr)
    raise Stopped(128 + number)


def _unread_groups() -> list[str]:
    """What is wrong with each +group=choice that Hydra drops in silence, because group=choice stands beside it."""
    choices = HydraConfig.get().runtime.choices
    # unresolved: an override may hold an interpolation
    given: Any = OmegaConf.to_container(HydraConfig.get().overrides.task)
    added = [word[1:].partition("=") for word in given if word.startswith("+")]
    return [
        f"+{group}={choice}: nothing reads it beside {group}={choices[group]}; leave one of them out."
        for group, _, choice in added
        if choices.get(group, choice) != choice
    ]


def _explain(error: Exception) -> str:
    """Hydra's message in one or two lines, with the nearest name that exists."""
    text = str(error).strip()
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        missing = str(error.missing_cfg_file)
        if missing.startswith("hydra/launcher/"):
            return (
                f"{missing.replace('launcher/', 'launcher=')} is not installed; cluster=local, slurm or ray needs none."
            )
        options = list(error.options or [])
        return f"conf/{missing}.yaml does not exist.{_nearest(missing.rpartition('/')[2], options)}"
    key = _unknown_key(error)
    if isinstance(error, ConfigCompositionException) and key:
        return f"there is no config key {key}.{_nearest(key, list(_config_keys()))}"
    if isinstance(error, OverrideParseException):
        hint = """ A value with = or other signs needs quotes of its own: "key='a=b'".""" if "=" in text else ""
        override = shown(str(error.override))
        # Hydra's text may repeat any part of the override
        reason = f": {text.splitlines()[0]}" if override == error.override else ""
        return f"cannot read the override {override!r}{reason}.{hint}"
    return text


def _nearest(name: str, options: list[str]) -> str:
    close = get_close_matches(name, [option for option in options if option != name], n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]}?" if close else ""
    return hint + (f" There are: {', '.join(sorted(options))}." if len(options) <= 20 else "")


def _config_keys() -> Iterator[str]:
    """Every key and group of the config as it is without overrides."""
    yield from _keys_of(compose_config(()))


def _keys_of(cfg: DictConfig) -> Iterator[str]:
    yield from (folder.name for folder in CONF.iterdir() if folder.is_dir())
    pending: list[tuple[str, Any]] = [("", OmegaConf.to_container(cfg))]
    while pending:
        prefix, node = pending.pop()
        for key, child in node.items():
            yield f"{prefix}{key}"
            if isinstance(child, dict):
                pending.append((f"{prefix}{key}.", child))
