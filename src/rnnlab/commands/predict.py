"""Answering raw input: a trained net, an input, and a file of answers."""

import logging
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf

from rnnlab.commands.find_net import find_net
from rnnlab.config.fingerprint import plain
from rnnlab.data.tables.values import Notation
from rnnlab.errors import UserError
from rnnlab.serving.answers import answers_to
from rnnlab.serving.predictor import Predictor
from rnnlab.serving.reading import read_input
from rnnlab.serving.timesteps import answers_to_lines
from rnnlab.serving.writing import check_output, write_answers

STANDARD_INPUT = "-"

log = logging.getLogger("rnnlab")


def predict(cfg: DictConfig) -> None:
    """Read `cfg.input`, let a trained net answer, see `find_net`, and write `cfg.output`, all piece by piece.

    Of `STANDARD_INPUT` each line is a timestep, and is answered at once.

    Raises: `UserError` for a model, input or output that is missing or not what it should be.
    """
    check_output(cfg.output)
    notation = Notation(cfg.task.get("decimal"), cfg.task.get("date_order"))
    notation.check()
    if cfg.input is None:
        raise UserError("input is missing: give a file, a folder or a text, as input=reviews.csv.")
    predictor = find_net(cfg)
    torch.set_num_threads(cfg.trainer.threads)
    given = plain(cfg.input) if OmegaConf.is_config(cfg.input) else cfg.input
    answers = _while_they_come(predictor) if given == STANDARD_INPUT else _answers(given, cfg, predictor, notation)
    rows = write_answers(answers, cfg.output)
    if rows is None:  # nobody reads any longer
        return
    where = f" in {cfg.output}" if cfg.output else ""
    log.info("%s/%s: %d rows%s", predictor.task.spec.task, predictor.module.name, rows, where)


def _answers(given: Any, cfg: DictConfig, predictor: Predictor, notation: Notation) -> Iterator[pd.DataFrame]:
    raw = read_input(given, predictor.task, notation)
    _say_where_from(predictor)
    raw = replace(raw, tables=_looked_at(raw.tables, predictor))
    return answers_to(raw, predictor, _options(cfg, predictor))


def _while_they_come(predictor: Predictor) -> Iterator[pd.DataFrame]:
    """To the timesteps that are lines of standard input."""
    stream = predictor.stream()
    _say_where_from(predictor)
    log.info("a line of standard input is a timestep (%s), an empty one ends a sequence", stream.column.holds)
    return answers_to_lines(sys.stdin.buffer, stream)


def _say_where_from(predictor: Predictor) -> None:
    if predictor.data:
        log.info("the net was trained on %s", predictor.trained_on)


def _looked_at(tables: Iterable[pd.DataFrame], predictor: Predictor) -> Iterator[pd.DataFrame]:
    """The same; of the first one is said in what it is unlike the data of training."""
    for number, table in enumerate(tables):
        for line in predictor.judging.misfits(table) if number == 0 else ():
            log.warning("the input may not fit: %s", line)
        yield table


def _options(cfg: DictConfig, predictor: Predictor) -> dict[str, Any]:
    """Those of `cfg.sampling` where the task takes any."""
    known = predictor.judging.raw_options()
    return {key: value for key, value in plain(cfg.sampling).items() if key in known}
