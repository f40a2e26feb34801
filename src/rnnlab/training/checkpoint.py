"""Reading Lightning's checkpoints, as data alone: none can run code."""

import pickle
from pathlib import Path
from typing import Any

import torch

UNREADABLE = (RuntimeError, EOFError, ValueError, OSError, pickle.UnpicklingError)
"""What `torch.load` raises for a file that is cut off or no checkpoint."""


def read_checkpoint(path: Path) -> Any:
    """The content of a checkpoint, on the processor; None where the file is cut off or no checkpoint."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE:
        return None
