"""The commands of the checkout that this file is in, whatever version of rnnlab is installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from rnnlab.commands.main import run

__all__ = ["run"]
