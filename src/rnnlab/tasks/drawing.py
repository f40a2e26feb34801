"""Figures as files that a net's samples are."""

import io

from matplotlib.figure import Figure


def png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100, metadata={"Software": None})
    return content.getvalue()
