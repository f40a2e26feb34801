"""A trained net as an MLflow model: raw input, a signature, an example, and nothing pickled."""

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rnnlab.config.fingerprint import SOURCE
from rnnlab.errors import UserError
from rnnlab.results.files import atomic_folder, read_json, write_json
from rnnlab.results.paths import Results
from rnnlab.serving.predictor import CONFIG, LEARNT, WEIGHTS, Predictor, config_of
from rnnlab.tasks.judging import Judging
from rnnlab.tasks.raw_input import Column
from rnnlab.tracking.mlflow.client import configure, quieten

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

REQUIRED = (
    "filelock", "hydra-core", "matplotlib", "mlflow", "numpy", "omegaconf", "pandas", "pillow", "pyarrow",
    "pytorch-lightning", "requests", "safetensors", "scipy", "tabulate", "torch", "torchmetrics", "tqdm",
)  # fmt: skip
"""What rnnlab imports to predict; named here, because to find out anew would take seconds for each model."""

EXTRA = {"rnnlab.modules.torchrecurrent.": "torchrecurrent"}
"""What cells need beside that, by the beginning of their class's name."""


def save_model(results: Results, seed: int, folder: Path) -> None:
    """Write the net of a trained seed into `folder`, whole or not at all, as a model of MLflow's `python_function`.

    It is loaded by `mlflow.pyfunc.load_model` and served by `mlflow models serve`, where rnnlab need not be installed:
    its code lies in the folder. A table of raw input goes in (`Task.raw_columns`), a table of answers comes out.

    Raises: `UserError` where the seed is not trained, was trained by an earlier version, or its task takes no raw
    input.
    """
    configure()
    import mlflow.pyfunc

    quieten()
    seed_folder = results.train(seed)
    if not (seed_folder / "metrics.json").is_file():
        raise UserError(f"{seed_folder} holds no trained net: train this seed first.")
    predictor = Predictor.of_run(seed_folder)
    example = predictor.task.raw_example()
    settings = config_of(seed_folder)
    metadata = {"task": settings["task"]["name"], "cell": settings["cell"]["name"], "seed": seed}
    metadata |= {key: read_json(seed_folder / "metrics.json")[key] for key in ("setting", "parameters")}
    with tempfile.TemporaryDirectory(prefix="rnnlab-") as scratch, atomic_folder(folder) as part:
        net = Path(scratch) / "net"
        net.mkdir()
        write_json(net / CONFIG, settings)
        for name in (LEARNT, WEIGHTS):
            shutil.copyfile(seed_folder / name, net / name)
        code = Path(scratch) / SOURCE.name
        shutil.copytree(SOURCE, code, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        mlflow.pyfunc.save_model(
            part,
            python_model=str(SOURCE / "serving" / "pyfunc.py"),
            artifacts={"net": net.as_uri()},
            code_paths=[str(code)],
            signature=signature_of(predictor, example),
            input_example=example,
            pip_requirements=requirements_of(settings["cell"]["_target_"]),
            metadata=metadata,
        )


def requirements_of(cell: str) -> list[str]:
    """With the versions that are installed. cell: the name of its class."""
    extra = [package for beginning, package in EXTRA.items() if cell.startswith(beginning)]
    # the build of torch, as in 2.13.0+cpu, is not in its name on the package index
    return [f"{name}=={version(name).partition('+')[0]}" for name in (*REQUIRED, *extra)]


def signature_of(predictor: Predictor, example: pd.DataFrame) -> "ModelSignature":
    """Inputs and options as the task names them, outputs as they are of its example."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    columns = predictor.task.raw_columns().items()
    inputs = Schema([ColSpec(_type_of(column), name) for name, column in columns])
    options = predictor.judging.raw_options()
    kinds = {int: DataType.long, float: DataType.double}
    params = [ParamSpec(name, kinds[type(value)], value) for name, value in options.items()]
    answers = predictor.predict(example, **_briefly(predictor.judging))
    types = {"i": DataType.long, "f": DataType.double, "M": DataType.datetime}
    outputs = [ColSpec(types.get(answers[name].dtype.kind, DataType.string), str(name)) for name in answers]
    return ModelSignature(inputs, Schema([*outputs]), ParamSchema(params) if params else None)  # type: ignore[arg-type]


def _type_of(column: Column) -> Any:
    from mlflow.types import DataType
    from mlflow.types.schema import Array

    kinds = {
        "text": DataType.string,
        "number": DataType.double,
        "integer": DataType.long,
        "date": DataType.string,
        "bytes": DataType.binary,
        "note": DataType.long,
    }
    found: Any = kinds[column.kind]
    for _ in range(column.depth):
        found = Array(found)
    return found


def _briefly(judging: Judging) -> dict[str, int]:
    """Options under which an example takes no time."""
    return {"length": 1} if "length" in judging.raw_options() else {}
