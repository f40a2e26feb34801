"""What is known of an image without a net: its ink, upright, and the directions of its edges."""

import numpy as np
from numpy.typing import NDArray

from rnnlab.tasks.images import Images

DIRECTIONS = 8


def ink_of(images: Images) -> NDArray[np.float32]:
    """The same images, 0 paper and 1 ink."""
    return (images / np.float32(255)).astype(np.float32, copy=False)


def deskewed(images: Images) -> NDArray[np.float32]:
    """Each image upright, its ink in the middle column, (images, height, width), 0 paper and 1 ink.

    A row y is read at x + x̄ - (width - 1) / 2 + s (y - ȳ), s = Σ ink (x - x̄) (y - ȳ) / Σ ink (y - ȳ)², x̄ and ȳ being
    the centre of mass: then x and y are uncorrelated over the ink (LeCun et al. 1998). Between pixels it is
    interpolated.
    """
    height, width = images.shape[1:]
    ink = ink_of(images)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    mass = np.maximum(ink.sum(axis=(1, 2)), 1e-6)
    middle_x, middle_y = ink.sum(axis=1) @ x / mass, ink.sum(axis=2) @ y / mass
    away_x, away_y = x - middle_x[:, None], y - middle_y[:, None]
    together = np.einsum("nyx,ny,nx->n", ink, away_y, away_x, optimize=True)
    slant = together / np.maximum((ink.sum(axis=2) * away_y**2).sum(axis=1), 1e-6)
    first = (middle_x - (width - 1) / 2)[:, None] + slant[:, None] * away_y
    left = np.floor(first).astype(np.int64)
    share = (first - left)[:, :, None]
    # a column of paper at either end, for what is read from outside
    padded = np.pad(ink, ((0, 0), (0, 0), (1, 1)))
    columns = left[:, :, None] + np.arange(width + 1) + 1
    found = np.take_along_axis(padded, np.clip(columns, 0, width + 1), axis=2)
    result: NDArray[np.float32] = (1 - share) * found[:, :, :-1] + share * found[:, :, 1:]
    return result.astype(np.float32)


def edge_features(ink: NDArray[np.float32], part: int) -> NDArray[np.float32]:
    """Histograms of oriented gradients (Dalal and Triggs 2005) of images of ink from 0 to 1, (images, height, width):

        √ Σ |∇| · max(0, 1 - |θ - d|)    over the pixels of each part, for each direction d = 0, ..., DIRECTIONS - 1

    ∇: the gradient; θ: its direction, counted round the circle from 0 to `DIRECTIONS`. part: pixels on each side of a
    part; height and width are multiples of it. Returns: (images, parts · DIRECTIONS).
    """
    count, height, width = ink.shape
    down, right = np.gradient(ink, axis=(1, 2))
    size = np.hypot(down, right)
    turn = np.arctan2(down, right) * np.float32(DIRECTIONS / (2 * np.pi))
    found = np.empty((count, DIRECTIONS, height // part, width // part), np.float32)
    for direction in range(DIRECTIONS):
        apart = np.abs((turn - direction + DIRECTIONS / 2) % DIRECTIONS - DIRECTIONS / 2)
        share = size * np.maximum(0, 1 - apart)
        found[:, direction] = share.reshape(count, height // part, part, width // part, part).sum(axis=(2, 4))
    return np.sqrt(found).reshape(count, -1)
