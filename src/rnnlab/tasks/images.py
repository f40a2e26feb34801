"""Pictures composed of others: digits made smaller and put where they belong."""

import numpy as np
import torch
from numpy.typing import NDArray

Images = NDArray[np.uint8]
"""(images, height, width), 0 paper and 255 ink."""


def shrunk(images: Images, side: int) -> Images:
    """The same images, `side` pixels high and wide; each pixel is the mean of those it stands for."""
    pixels = torch.from_numpy(np.asarray(images, np.float32))[:, None]
    smaller = torch.nn.functional.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
    result: Images = smaller[:, 0].round().clamp(0, 255).byte().numpy()
    return result


def put(image: Images, canvas: Images, top: int, left: int) -> None:
    """Draw an image (height, width) on a canvas, in place; where there is ink already, the darker of both stays."""
    height, width = image.shape
    below = canvas[top : top + height, left : left + width]
    np.maximum(below, image, out=below)
