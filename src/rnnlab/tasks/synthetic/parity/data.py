"""Running parity: have there been an odd number of ones so far?"""

import numpy as np

from rnnlab.tasks.synthetic.data import Drawn, SyntheticClassificationData


class ParityData(SyntheticClassificationData):
    """Random bits, and at each timestep whether the ones up to it are even or odd in number:

        input    0 1 1 0 1 0 0 1
        target   e o e e o o o e

    XOR over time. One bit of state is enough for any length; but no input may be missed, and the last inputs alone tell
    nothing. A cell that is linear in its state, with coefficients that are positive or the same for all inputs, cannot
    do so at every length (Merrill et al. 2024, Grazzi et al. 2024).

    length: bits.
    """

    layout = "many_to_many"
    parts = "bits"

    def names(self) -> tuple[list[str], list[str]]:
        return ["0", "1"], ["even", "odd"]

    def draw(self, rng: np.random.Generator, size: int, length: int) -> Drawn:
        bits = rng.integers(2, size=(size, length), dtype=np.int8)
        return bits, np.bitwise_xor.accumulate(bits, axis=1)
