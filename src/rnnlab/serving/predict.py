"""From the command line: a trained net, an input, and a file of answers."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf

from rnnlab.addresses import shown
from rnnlab.config.fingerprint import plain
from rnnlab.data.tables.values import Notation
from rnnlab.errors import UserError
from rnnlab.output import Lines
from rnnlab.results.paths import Results, of_seeds, root
from rnnlab.serving.onnx import export_onnx
from rnnlab.serving.predictor import CONFIG, ROW, Predictor
from rnnlab.serving.reading import RawInput, read_input
from rnnlab.serving.writing import check_output, write_answers
from rnnlab.tasks.judging import Model
from rnnlab.tasks.raw_input import RowError
from rnnlab.tracking.live import reason
from rnnlab.tracking.mlflow.store import quieten, store_uri

log = logging.getLogger("rnnlab")

NET = Path("artifacts/net")
"""In a model's folder."""


def predict(cfg: DictConfig) -> None:
    """Read `cfg.input`, let the net that `cfg.model` names answer, and write `cfg.output`, all piece by piece.

    Raises: `UserError` for a model, input or output that is missing or not what it should be.
    """
    if cfg.output is None:  # the answers alone go to standard output
        logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[Lines(sys.stderr)], force=True)
    check_output(cfg.output)
    notation = Notation(cfg.task.get("decimal"), cfg.task.get("date_order"))
    notation.check()
    if cfg.input is None:
        raise UserError("input is missing: give a file, a folder or a text, as input=reviews.csv.")
    predictor = find_predictor(cfg)
    torch.set_num_threads(cfg.trainer.threads)
    given = plain(cfg.input) if OmegaConf.is_config(cfg.input) else cfg.input
    raw = read_input(given, predictor.task, notation)
    rows = write_answers(answers_to(raw, predictor, options_of(cfg, predictor)), cfg.output)
    if rows is None:  # nobody reads any longer
        return
    where = f" in {cfg.output}" if cfg.output else ""
    log.info("%s/%s: %d rows%s", predictor.task.spec.task, predictor.module.name, rows, where)


def export(cfg: DictConfig) -> None:
    """Write the net that `cfg.model` names as ONNX into `cfg.output`.

    Raises: `UserError` as `find_predictor` and `export_onnx` do, and for another kind of output.
    """
    if cfg.output is None or Path(cfg.output).suffix.lower() != ".onnx":
        raise UserError(f"output={cfg.output}: a name that ends in .onnx is needed.")
    predictor = find_predictor(cfg)
    export_onnx(predictor, Path(cfg.output))
    log.info("%s/%s: one timestep of it in %s", predictor.task.spec.task, predictor.module.name, cfg.output)


def options_of(cfg: DictConfig, predictor: Predictor) -> dict[str, Any]:
    """Those of `cfg.sampling` where the task takes any."""
    known = predictor.judging.raw_options()
    return {key: value for key, value in plain(cfg.sampling).items() if key in known}


@runtime_checkable
class ScoresText(Protocol):
    """The judging of a task that reads a long text (`rnnlab.serving.reading.ReadsText`)."""

    def score(self, model: Model, text: Iterable[str]) -> Iterator[pd.DataFrame]:
        """A row for each token, piece by piece."""


def answers_to(raw: RawInput, predictor: Predictor, options: dict[str, Any]) -> Iterator[pd.DataFrame]:
    if raw.text is not None:
        assert isinstance(predictor.judging, ScoresText)
        yield from predictor.judging.score(predictor.module, raw.text)
        return
    try:
        for answers in predictor.stream(raw.tables, **options):
            if raw.files is not None:
                answers = answers.rename(columns={ROW: "file"})
                answers["file"] = [raw.files[row] for row in answers["file"]]
            yield answers
    except RowError as error:
        raise UserError(f"{raw.place(error.row)}, {error.what}") from None


def find_predictor(cfg: DictConfig) -> Predictor:
    """The net that `cfg.model` names: the folder of a run (its `cfg.seed`) or of one of its seeds, that of a model, or
    an address of the store, models:/ or runs:/. Of a model no code is run, only its weights and JSON are read.

    Raises: `UserError` where there is none.
    """
    if cfg.model is None:
        raise UserError(
            "model is missing: give the folder of a run (runs/<task>/<cell>/<fingerprint>), of a model, or an address "
            "such as models:/rnnlab-price@champion."
        )
    name = str(cfg.model)
    if name.startswith(("models:/", "runs:/")):
        with tempfile.TemporaryDirectory(prefix="rnnlab-") as scratch:
            return Predictor.load(_downloaded(cfg, name, scratch) / NET)
    # results/<task>/<cell> is meant under the root, wherever the command is given
    for folder in (Path(name), root() / name):
        if folder.is_dir():
            break
    else:
        raise UserError(f"model={name}: there is no such folder.")
    if (folder / "MLmodel").is_file():
        return Predictor.load(folder / NET)
    if (folder / CONFIG).is_file():
        return Predictor.load(folder)
    if (folder / "train").is_dir():
        of_seed = Results(folder).train(cfg.seed)
        if not of_seed.is_dir():
            seeds = [path.name for path in of_seeds(folder, "train/seed=*")]
            raise UserError(f"model={name} has no seed={cfg.seed}; it has {', '.join(seeds) or 'none'}.")
        return Predictor.of_run(of_seed)
    if (folder / "config.yaml").is_file():
        return Predictor.of_run(folder)
    raise UserError(f"model={name} is no folder of a run, of a seed or of a model.")


def _downloaded(cfg: DictConfig, address: str, into: str) -> Path:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    quieten()
    uri = store_uri(cfg)
    local = uri.removeprefix("sqlite:///")
    if local != uri and not Path(local).is_file():  # to look into it would make one
        raise UserError(f"model={address}: there is no store {shown(uri)} yet. Name another with tracking.uri=...")
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        return Path(download_artifacts(artifact_uri=address, dst_path=into))
    except (MlflowException, SQLAlchemyError, OSError, ImportError, ValueError) as error:
        raise UserError(f"model={address}: {reason(error, uri)} (the store is {shown(uri)}).") from None
