"""Writing a trained net as ONNX."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from rnnlab.commands.find_net import find_net
from rnnlab.errors import UserError
from rnnlab.serving.onnx import export_onnx

log = logging.getLogger("rnnlab")


def export(cfg: DictConfig) -> None:
    """Write a trained net, see `find_net`, as ONNX into `cfg.output`.

    Raises: `UserError` as `find_net` and `export_onnx` do, and for another kind of output.
    """
    if cfg.output is None or Path(cfg.output).suffix.lower() != ".onnx":
        raise UserError(f"output={cfg.output}: a name that ends in .onnx is needed.")
    predictor = find_net(cfg)
    export_onnx(predictor, Path(cfg.output))
    log.info("%s/%s: one timestep of it in %s", predictor.task.spec.task, predictor.module.name, cfg.output)
