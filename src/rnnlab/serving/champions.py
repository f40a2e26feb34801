"""The best model of each data set in MLflow's registry: `rnnlab-<task>-<slug>-<digest>`, alias `champion`, chosen on
validation.

A run is compared only with a champion of the same yardstick: the same loss on the same data digest. It takes over when
its validation loss is lower. A champion by another loss stays, for the two say nothing about each other, unless its own
results are gone from this machine.

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
from rnnlab.results.files import locked, read_json
from rnnlab.results.origin import FORMAT
from rnnlab.results.paths import Results, data_folder, store_root
from rnnlab.tracking.mlflow.models import DATA, OURS, TASK, link_metrics
from rnnlab.tracking.mlflow.store import MLflowStore
from rnnlab.tracking.tracker import Tracked, Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

log = logging.getLogger("rnnlab")

ALIAS = "champion"

_no_model: set[tuple[str, str]] = set()
"""Pairs of a registered model and a cell of which this process has logged why no model can be made."""


def crown(store: Tracker, tracked: Tracked | None) -> bool:
    """Register the model of a seed that is in the store as its data set's champion, if it is better than the present
    one.

    Only MLflow has a registry. One that fails stops nothing, as with all that is put into the store.

    Returns: False where it failed, so that it should be tried again.
    """
    if not isinstance(store, MLflowStore) or tracked is None:
        return True
    run = read_json(tracked.results.train(tracked.seed) / "run.json")
    loss = read_json(tracked.results.train(tracked.seed) / "metrics.json")["validation_loss"]
    if run.get("yardstick") is None:
        return True
    # one process at a time, from the comparison to the new alias
    with store.results_are_kept(), locked(store_root() / ".champions.lock"):
        present = champion(store.client, name_of(run))
        if present is None or _gives_way(present, run, loss):
            _register(store.client, tracked, run, loss)
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


def champion(client: "MlflowClient", name: str) -> "ModelVersion | None":
    """The present champion of a registered model."""
    # asked so, because `get_model_version_by_alias` raises one and the same error for much else
    found = client.search_registered_models(f"name = '{name}'")
    version = found[0].aliases.get(ALIAS) if found else None
    return client.get_model_version(name, version) if version else None


def _gives_way(present: "ModelVersion", run: dict[str, Any], loss: float) -> bool:
    if "yardstick" not in present.tags:  # set by hand: not ours to judge
        return False
    if present.tags.get("rnnlab.format") != str(FORMAT):  # this version cannot load it
        return True
    if present.tags["rnnlab.key"] == run["key"]:  # trained again, it takes its own place
        return present.tags["rnnlab.started"] != str(run["started"])
    if present.tags["yardstick"] == run["yardstick"]:
        return loss < float(present.tags["validation_loss"])
    gone = present.tags["host"] == socket.gethostname() and not _on_disk(present)
    if not gone:
        _say_it_stays(present.name, present.tags["yardstick"], run["yardstick"])
    return gone


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
    client.set_registered_model_alias(name, ALIAS, version.version)
    # a server does this by itself; the list of models shows it
    versions = json.dumps([{"name": name, "version": version.version}])
    client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": versions})
    log.info(
        "%s: version %s of %s, the new champion: validation loss %.4f; rnnlab predict model=models:/%s@%s",
        run["name"], version.version, name, loss, name, ALIAS,
    )  # fmt: skip


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
