"""Writing a trained net as ONNX."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from rnnlab.errors import UserError
from rnnlab.serving.load import find_predictor
from rnnlab.serving.onnx import export_onnx

log = logging.getLogger("rnnlab")


def export(cfg: DictConfig) -> None:
    """Write the net that `cfg.model` names as ONNX into `cfg.output`.

    Raises: `UserError` as `find_predictor` and `export_onnx` do, and for another kind of output.
    """
    if cfg.output is None or Path(cfg.output).suffix.lower() != ".onnx":
        raise UserError(f"output={cfg.output}: a name that ends in .onnx is needed.")
    predictor = find_predictor(cfg.model, cfg.seed, cfg.tracking.get("uri"))
    export_onnx(predictor, Path(cfg.output))
    log.info("%s/%s: one timestep of it in %s", predictor.task.spec.task, predictor.module.name, cfg.output)
