"""The figures on disk: a file of rows for each part, and what machine measured it."""

import datetime
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from rnnlab.unroll.cpp.build import NoCompiler, compiler

FOLDER = Path(__file__).parent
FILES = {
    "cells": "results.json",
    "memory": "memory.json",
    "scaling": "scaling.json",
    "compile": "compile.json",
    "overhead": "overhead.json",
    "tracking": "tracking.json",
    "feeding": "feeding.json",
    "text": "text.json",
    "workspace": "workspace.json",
    "costs": "costs.json",
    "calibration": "calibration.json",
}
MACHINES = FOLDER / "machines.json"
KEY = (
    "cell",
    "unroll",
    "peer",
    "device",
    "threads",
    "batch",
    "timesteps",
    "input_size",
    "hidden_size",
    "stage",
    "runs",
    "task",
)


def read(part: str) -> list[dict[str, Any]]:
    path = FOLDER / FILES[part]
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def machines() -> dict[str, dict[str, Any]]:
    return json.loads(MACHINES.read_text(encoding="utf-8")) if MACHINES.exists() else {}


def write(part: str, device: str, measured: Iterator[dict[str, Any]]) -> None:
    """Each row as it comes, in the place of the one that it replaces: what was measured before stays."""
    rows = {key(row): row for row in read(part)}
    for row in measured:
        rows[key(row)] = row
        _dump(FOLDER / FILES[part], list(rows.values()))
        _dump(MACHINES, {**machines(), f"{part} {device}": machine(device)})


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in KEY)


def _compiler() -> str | None:
    try:
        return " ".join(compiler())
    except NoCompiler:
        return None


def machine(device: str) -> dict[str, Any]:
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "compiler": _compiler(),
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _dump(path: Path, content: Any) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    part.replace(path)
