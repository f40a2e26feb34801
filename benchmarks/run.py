"""The benchmarks: measure, write benchmarks/*.json, and docs/benchmarks.md and docs/calibration.md from them.

make bench                                                  all parts, in about 25 minutes on two cores
make bench ARGS="cells --cells lstm,gru --threads 1"        a part; it replaces its own rows only
make bench ARGS="cells --groups scans --seconds 10"
make bench ARGS="memory scaling compile overhead tracking feeding"
make bench ARGS="profile --cell lstm --shape 128,28,28,128" where the time goes; nothing is written
make bench ARGS=calibration                                 how often verdicts err, in about an hour; resumes
make bench ARGS=text                                        a text of 2 GB, in a few minutes; in no other run
make bench ARGS="workspace --runs 100,1000,10000"           commands in a workspace of many runs
make bench ARGS=costs                                       what a grid of all tasks and cells takes, in 40 minutes
make bench ARGS=table                                       the two pages alone
"""

import argparse
import sys

import torch

from benchmarks import (
    calibration,
    calibration_page,
    cells,
    compiling,
    costs,
    feeding,
    memory,
    overhead,
    profiling,
    scaling,
    store,
    table,
    text,
    tracking,
    workspace,
)
from benchmarks.nets import Shape

PARTS = ("cells", "memory", "scaling", "compile", "overhead", "tracking", "feeding")
APART = ("calibration", "text", "workspace", "costs", "profile", "table")
"""Parts that no other run has."""


def words(text: str) -> list[str]:
    return text.split(",")


def numbers(text: str) -> list[int]:
    return [int(word) for word in words(text)]


def shape(text: str) -> Shape:
    batch, time, input_size, hidden_size = numbers(text)
    return batch, time, input_size, hidden_size


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"{', '.join(PARTS)}; or {', '.join(APART)}")
    parser.add_argument("--cells", "--cell", type=words, default=[], help="only these of conf/cell, as lstm,gru")
    parser.add_argument("--groups", type=words, default=cells.GROUPS, help=f"of cells: {', '.join(cells.GROUPS)}")
    parser.add_argument("--threads", type=numbers, default=[1, 2], help="of cells; the other parts take one")
    parser.add_argument("--runs", type=numbers, default=[100, 1000], help="of workspace")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each pair, if five calls take no longer")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--shape", type=shape, default=cells.SHAPES[0], help="of profile: batch,time,input,hidden")
    parser.add_argument("--unroll", default="compiled", help="of profile")
    given = parser.parse_args()
    if unknown := {*given.parts} - {*PARTS, *APART} or {*given.groups} - {*cells.GROUPS}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return given


def main() -> int:
    given = arguments()
    measures = {
        "cells": lambda: cells.measure(given.cells, given.groups, given.threads, given.device, given.seconds),
        "memory": lambda: memory.measure(given.cells, given.device),
        "scaling": lambda: scaling.measure(given.cells, given.device, given.seconds),
        "compile": lambda: compiling.measure(given.cells, given.device),
        "overhead": lambda: overhead.measure(given.cells),
        "tracking": lambda: tracking.measure(given.cells),
        "feeding": lambda: feeding.measure(given.cells),
        "text": text.measure,
        "workspace": lambda: workspace.measure(given.runs),
        "costs": costs.measure,
        "calibration": calibration.measure,
    }
    if "profile" in given.parts:
        for cell in given.cells:
            profiling.profile(cell, given.unroll, given.shape, given.threads[0], given.device, given.seconds)
        return 0
    for part in measures:
        if part in given.parts:
            store.write(part, given.device, measures[part]())
    table.write()
    calibration_page.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
