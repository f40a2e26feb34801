"""Figures of XOR: the plane that a net divides."""

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.special import softmax

from rnnlab.data.batches import Batch
from rnnlab.tasks.classification.figures import ClassificationFigures
from rnnlab.tasks.judging import Model
from rnnlab.tasks.synthetic.xor.data import LABELS, ROWS


class XorFigures(ClassificationFigures):
    """Beside those of every classification, the answers to all points of the plane."""

    def inspect(self, model: Model) -> dict[str, Figure]:
        """What the net says of all points of the plane, not of its corners alone."""
        side = np.linspace(-0.25, 1.25, 121, dtype=np.float32)
        points = torch.cartesian_prod(torch.from_numpy(side), torch.from_numpy(side))
        model.eval()
        with torch.inference_mode():
            logits = model(Batch(points, points.new_zeros(len(points), dtype=torch.long)).to(model.device))
        probabilities = softmax(logits.double().cpu().numpy(), axis=1)[:, 1].reshape(len(side), -1)
        figure = Figure(figsize=(4.6, 3.8), layout="constrained")
        axes = figure.subplots()
        image = axes.pcolormesh(side, side, probabilities.T, cmap="RdBu_r", vmin=0, vmax=1, shading="gouraud")
        axes.contour(side, side, probabilities.T, levels=[0.5], colors="black", linewidths=1)
        for (x, y), label in zip(ROWS, LABELS, strict=True):
            axes.text(x, y, str(label), ha="center", va="center", bbox={"boxstyle": "circle", "facecolor": "white"})
        axes.set_xlabel("first bit")
        axes.set_ylabel("second bit")
        axes.set_title("Probability of 1; the line: 1/2", fontsize=10)
        figure.colorbar(image, ax=axes)
        return {"plane": figure}
