"""Answering raw input: a trained net, an input, and a file of answers."""

import logging
import sys
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from rnnlab.config.fingerprint import plain
from rnnlab.data.tables.values import Notation
from rnnlab.errors import UserError
from rnnlab.output import Lines
from rnnlab.serving.answers import answers_to
from rnnlab.serving.load import find_predictor
from rnnlab.serving.predictor import Predictor
from rnnlab.serving.reading import read_input
from rnnlab.serving.writing import check_output, write_answers

log = logging.getLogger("rnnlab")


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
    predictor = find_predictor(cfg.model, cfg.seed, cfg.tracking.get("uri"))
    torch.set_num_threads(cfg.trainer.threads)
    given = plain(cfg.input) if OmegaConf.is_config(cfg.input) else cfg.input
    raw = read_input(given, predictor.task, notation)
    rows = write_answers(answers_to(raw, predictor, _options(cfg, predictor)), cfg.output)
    if rows is None:  # nobody reads any longer
        return
    where = f" in {cfg.output}" if cfg.output else ""
    log.info("%s/%s: %d rows%s", predictor.task.spec.task, predictor.module.name, rows, where)


def _options(cfg: DictConfig, predictor: Predictor) -> dict[str, Any]:
    """Those of `cfg.sampling` where the task takes any."""
    known = predictor.judging.raw_options()
    return {key: value for key, value in plain(cfg.sampling).items() if key in known}
