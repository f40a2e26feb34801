"""The trained net that a path or an address names."""

import tempfile
from pathlib import Path

from rnnlab.errors import UserError
from rnnlab.results.paths import Results, of_seeds, own_file
from rnnlab.serving.predictor import CONFIG, Predictor
from rnnlab.tracking.mlflow.models import download

NET = Path("artifacts/net")
"""In a model's folder."""


def find_predictor(model: str, seed: int = 0, uri: str | None = None) -> Predictor:
    """The net that `model` names: the folder of a run (its `seed`) or of one of its seeds, that of a model, or an
    address of the store `uri`, models:/ or runs:/. Of a model no code is run, only its weights and JSON are read.

    Raises: `UserError` where there is none.
    """
    if model.startswith(("models:/", "runs:/")):
        with tempfile.TemporaryDirectory(prefix="rnnlab-") as scratch:
            return Predictor.load(download(model, uri, Path(scratch)) / NET)
    folder = own_file(model)
    if not folder.is_dir():
        raise UserError(f"model={model}: there is no such folder.")
    if (folder / "MLmodel").is_file():
        return Predictor.load(folder / NET)
    if (folder / CONFIG).is_file():
        return Predictor.load(folder)
    if (folder / "train").is_dir():
        of_seed = Results(folder).train(seed)
        if not of_seed.is_dir():
            seeds = [path.name for path in of_seeds(folder, "train/seed=*")]
            raise UserError(f"model={model} has no seed={seed}; it has {', '.join(seeds) or 'none'}.")
        return Predictor.of_run(of_seed)
    if (folder / "config.yaml").is_file():
        return Predictor.of_run(folder)
    raise UserError(f"model={model} is no folder of a run, of a seed or of a model.")
