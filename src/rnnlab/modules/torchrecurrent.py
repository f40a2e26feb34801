"""The Lightning module of any cell of the package torchrecurrent."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rnnlab.cells.cell import Cell
from rnnlab.cells.torchrecurrent import TorchRecurrentCell, find
from rnnlab.modules.module import SequenceModule


class TorchRecurrent(SequenceModule):
    """A cell of the package on any task; `name` is both the package's name of it and the cell's name in results."""

    cell_class: ClassVar[type[Cell]] = TorchRecurrentCell

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **{**options, "layer": name})

    @classmethod
    def takers(cls, options: Mapping[str, Any]) -> list[type]:
        return [*super().takers(options), find(options["name"])[1]]

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Raises: `UserError` for what cannot be made of conf/cell, before any data is touched."""
        find(options["name"])
