"""The best model of each data set in MLflow's registry: `rnnlab-<task>-<slug>-<digest>`, alias `champion`, chosen on
validation.

A run is compared only with models of the same yardstick: the same loss on the same data digest. It takes over when its
validation loss is lower than that of each. A champion by another loss stays, for the two say nothing about each other,
unless its own results are gone.

Only champions are kept as models: the weights of every run are among its artifacts, and packing them as a model takes
longer than many a run (docs/tracking.md has the figures).
"""

import json
import logging
import socket
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnlab.errors import UserError
from rnnlab.results.files import read_json
from rnnlab.results.locks import locked
from rnnlab.results.origin import FORMAT
from rnnlab.results.paths import Results, data_folder, store_root
from rnnlab.tracking.mlflow.client import store_uri
from rnnlab.tracking.mlflow.models import DATA, OURS, TASK, link_metrics
from rnnlab.tracking.mlflow.store import MLflowStore
from rnnlab.tracking.tracker import Tracked, Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

log = logging.getLogger("rnnlab")

ALIAS = "champion"

ATTEMPTS = 20
"""To give the alias to the best, each after another process has given it to a worse one."""

_no_model: set[tuple[str, str]] = set()
"""Pairs of a registered model and a cell of which this process has logged why no model can be made."""


def crown(store: Tracker, tracked: Tracked | None) -> bool:
    """Register the model of a seed that is in the store as its data set's champion, if it is the best there.

    Only MLflow has a registry. One that fails stops nothing, as with all that is put into the store.

    Returns: False where it failed, so that it should be tried again.
    """
    if not isinstance(store, MLflowStore) or not store.crowns or tracked is None:
        return True
    run = read_json(tracked.results.train(tracked.seed) / "run.json")
    loss = read_json(tracked.results.train(tracked.seed) / "metrics.json")["validation_loss"]
    if run.get("yardstick") is None:
        return True
    # one process of this workspace at a time: else each of a sweep would pack its own; what holds is in the registry
    with store.results_are_kept(), locked(store_root() / ".champions.lock"):
        _crown(store, tracked, run, loss)
        return True
    return False  # the store failed, and has logged it


def crown_best(store: Tracker, tracked: Iterable[Tracked]) -> bool:
    """The same of the best seeds of each data set and yardstick. tracked: in the order of their training.

    Returns: False where any failed.
    """
    best: dict[tuple[str, str], tuple[float, Tracked]] = {}
    for each in tracked:
        folder = each.results.train(each.seed)
        run, loss = read_json(folder / "run.json"), read_json(folder / "metrics.json")["validation_loss"]
        kind = (name_of(run), run.get("yardstick"))
        if kind not in best or loss < best[kind][0]:
            best[kind] = (loss, each)
    crowned = [crown(store, each) for _, each in best.values()]  # each is tried, whatever came of another
    return all(crowned)


def name_of(run: dict[str, Any]) -> str:
    """Of the registered model of a run's data set. run: the content of run.json."""
    return f"{OURS}{run['task']}-{data_folder(run['dataset']['slug'], run['dataset']['digest'])}"


def _crown(store: MLflowStore, tracked: Tracked, run: dict[str, Any], loss: float) -> None:
    """Register the model where it is better than all there, and give the alias to the best until it has it.

    Processes of several hosts may do so at once, with nothing but the registry between them. Each sets the alias by a
    list that may be old by then. But each lists again after it has set it, and ends only when the alias is at the best
    of its list: whoever sets it last has seen all that were registered before, and whoever registers later lists after
    that.
    """
    client, name = store.client, name_of(run)
    known, present = _registered(client, name)
    if present is not None and not _gives_way(store, present, run):
        return
    best = _best(client, known, run)
    if best is None or loss < float(best.tags["validation_loss"]):
        _register(client, tracked, run, loss)
        known, present = _registered(client, name)
    for _ in range(ATTEMPTS):
        if present is not None and not _gives_way(store, present, run):
            return
        best = _best(client, known, run)
        if best is None or (present is not None and present.version == best.version):
            return
        client.set_registered_model_alias(name, ALIAS, best.version)
        if best.run_id == tracked.run_id:
            log.info(
                "%s: version %s of %s, the new champion: validation loss %.4f; rnnlab predict model=models:/%s@%s",
                run["name"], best.version, name, loss, name, ALIAS,
            )  # fmt: skip
        known, present = _registered(client, name)


def _registered(client: "MlflowClient", name: str) -> tuple[list["ModelVersion"], "ModelVersion | None"]:
    """All versions of a registered model, and the one that is champion."""
    versions = list(client.search_model_versions(f"name = '{name}'"))
    # asked so, because `get_model_version_by_alias` raises one and the same error for much else
    found = client.search_registered_models(f"name = '{name}'")
    version = str(found[0].aliases.get(ALIAS)) if found else None
    return versions, next((each for each in versions if str(each.version) == version), None)


def _best(client: "MlflowClient", versions: list["ModelVersion"], run: dict[str, Any]) -> "ModelVersion | None":
    """Of those of the yardstick of `run` the one of the lowest loss, of equal ones the first that was registered.

    Of what was trained again only the latest counts, and no run that was deleted.
    """
    latest = {run["key"]: int(run["started"])}
    comparable = [each for each in versions if _is_comparable(each, run)]
    for each in comparable:
        key, started = each.tags["rnnlab.key"], int(each.tags["rnnlab.started"])
        latest[key] = max(started, latest.get(key, started))
    for each in sorted(comparable, key=lambda each: (float(each.tags["validation_loss"]), int(each.version))):
        is_latest = int(each.tags["rnnlab.started"]) == latest[each.tags["rnnlab.key"]]
        if is_latest and not _is_deleted(client, each):
            return each
    return None


def _is_deleted(client: "MlflowClient", version: "ModelVersion") -> bool:
    """Whether the run that a model is of is deleted in the store."""
    from mlflow.exceptions import MlflowException

    assert version.run_id is not None
    try:
        return bool(client.get_run(version.run_id).info.lifecycle_stage == "deleted")
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return True  # for good


def _is_comparable(version: "ModelVersion", run: dict[str, Any]) -> bool:
    return version.tags.get("rnnlab.format") == str(FORMAT) and version.tags.get("yardstick") == run["yardstick"]


def _gives_way(store: MLflowStore, present: "ModelVersion", run: dict[str, Any]) -> bool:
    """Whether the best model of the yardstick of `run` takes the place of a champion."""
    if "yardstick" not in present.tags:  # set by hand: not ours to judge
        return False
    made = int(present.tags.get("rnnlab.format", 0))
    if made != FORMAT:  # this version cannot load one of an earlier, and leaves it to a later to judge its own
        return made < FORMAT
    if present.tags["yardstick"] == run["yardstick"] or _is_gone(store, present):
        return True
    _say_it_stays(present.name, present.tags["yardstick"], run["yardstick"])
    return False


def _is_gone(store: MLflowStore, present: "ModelVersion") -> bool:
    """Whether the results of a champion are there no more: its folder, where only this workspace uses the store, or
    its run. Of another workspace that path says nothing here."""
    return (store.uri == store_uri(None) and not _on_disk(present)) or _is_deleted(store.client, present)


@cache
def _say_it_stays(name: str, theirs: str, ours: str) -> None:
    """Once, and not for every run of a sweep."""
    log.info("%s: the champion in the registry was chosen by another loss (%s, not %s) and stays", name, theirs, ours)


def _on_disk(present: "ModelVersion") -> bool:
    folder, _, seed = present.tags["rnnlab.folder"].rpartition("#")
    path = Results(Path(folder)).train(int(seed)) / "run.json"
    return path.exists() and read_json(path)["key"] == present.tags["rnnlab.key"]


def _register(client: "MlflowClient", tracked: Tracked, run: dict[str, Any], loss: float) -> None:
    from mlflow.exceptions import MlflowException

    # here: it builds the net, for which Lightning is imported, and most runs become no champion
    from rnnlab.serving.model import save_model

    name, title = name_of(run), run["dataset"]["title"]
    tags = {
        "task": run["task"],
        "cell": run["cell"],
        "seed": str(run["seed"]),
        "validation_loss": repr(loss),
        "data": title,
        "data_digest": run["dataset"]["digest"],
        "yardstick": run["yardstick"],
        "host": socket.gethostname(),  # where the folder is: a run may have been copied from where it was trained
        "rnnlab.format": str(FORMAT),
        "rnnlab.key": run["key"],
        "rnnlab.folder": f"{tracked.results.folder}#{run['seed']}",
        "rnnlab.started": str(run["started"]),
    }
    headline = f"{run['name']} on {title}: validation loss {loss:.4g} ({run['yardstick']})"
    with tempfile.TemporaryDirectory(prefix="rnnlab-") as folder:
        try:
            save_model(tracked.results, tracked.seed, Path(folder) / "model")
        except UserError as error:
            pair = (name, run["cell"])
            if pair not in _no_model:  # else for every seed, as each is better than none
                log.info("%s would be the new champion, but cannot be made a model: %s", run["name"], error)
            _no_model.add(pair)
            return
        model = _log_model(client, tracked, run, {**tags, "mlflow.note.content": headline}, Path(folder) / "model")
    try:
        client.create_registered_model(
            name, {TASK: run["task"], DATA: title}, f"The best net on {title}, by validation."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        name,
        # not models:/<id>, which MLflow resolves in its default store, whatever the client's own is
        source=model.artifact_location,
        run_id=tracked.run_id,
        tags=tags,
        description=headline,
        model_id=model.model_id,
        await_creation_for=0,
    )
    # a server does this by itself; the list of models shows it
    versions = json.dumps([{"name": name, "version": version.version}])
    client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": versions})


def _log_model(
    client: "MlflowClient", tracked: Tracked, run: dict[str, Any], tags: dict[str, str], folder: Path
) -> "LoggedModel":
    """The model as an entity of its own, an output of the run, with the run's metrics on its data."""
    from mlflow.entities import LoggedModelOutput

    model = client.create_logged_model(
        tracked.experiment,
        name=run["cell"],
        source_run_id=tracked.run_id,
        tags=tags,
        params={key: str(value) for key, value in run["params"].items()},
        model_type=run["tags"]["layout"],
    )
    client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(tracked.run_id, [LoggedModelOutput(model.model_id, 0)])
    link_metrics(client, tracked.run_id, model.model_id, run["dataset"])
    return model
