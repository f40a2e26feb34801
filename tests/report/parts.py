"""What tests of the report vary."""

from rnnlab.report.results_table import Section

RAIN = Section(
    task="rain",
    data="d1",
    metric="score",
    direction="min",
    reference="naive",
    trivial="naive",
    unit="day",
    overlap=None,
    solved=None,
    parts="steps ahead",
    entries=[],
)
"""A section without entries."""
