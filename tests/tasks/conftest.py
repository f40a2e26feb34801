"""What is shortened for the tests of tasks."""

import pytest


@pytest.fixture(autouse=True)
def few_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ARIMA, which takes seconds to try them all."""
    module = "rnnlab.tasks.forecasting.baselines"
    monkeypatch.setattr(f"{module}.ORDERS", (((0, 1, 1), True), ((1, 0, 0), True)))
    monkeypatch.setattr(f"{module}.SEASONAL_ORDERS", ((0, 1, 1),))
