"""Pictures drawn with what was written of them."""

from textwrap import shorten

from matplotlib.figure import Figure

from rnnlab.tasks.images import Images

SHOWN_LETTERS = 70
"""Of a caption under a picture; a right one is never longer."""


def draw_captions(pictures: Images, references: list[str], written: list[str], name: str = "") -> Figure:
    """Each picture under its caption; where what was written is another, that stands below it, in red."""
    rows = -(-len(pictures) // 2)
    figure = Figure(figsize=(8.6, 0.4 + 1.35 * rows), layout="constrained")
    all_axes = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes in all_axes[len(pictures) :]:
        axes.set_axis_off()
    for axes, picture, reference, text in zip(all_axes, pictures, references, written, strict=False):
        axes.imshow(picture, cmap="gray_r", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"\n{reference}", fontsize=8)
        if text != reference:
            axes.set_xlabel(shorten(text, SHOWN_LETTERS, placeholder=" ...") or "(nothing)", fontsize=8, color="C3")
    figure.suptitle(
        f"{name}{': ' if name else ''}captions, and below them in red what was written wrongly", fontsize=10
    )
    return figure
