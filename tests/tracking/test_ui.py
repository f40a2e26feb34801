"""The MLflow UI in a real browser, after a sweep: names, comparison, charts, pictures, the champion.

`pytest tests/tracking/test_ui.py --screenshot docs/images/mlflow.png` runs a larger sweep and keeps the screenshot that
README shows.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mlflow import MlflowClient

from tests.conftest import experiment_of, start
from tests.tracking.test_tracking import answer, client, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs a browser: apt-get install chromium"),
]

PATIENCE = 60_000
"""Milliseconds for the UI to show something; it polls, so that `networkidle` never comes."""


@dataclass(frozen=True)
class UI:
    root: Path
    address: str
    printed: str
    """The address of the task price that the entry point tells the user."""

    @property
    def store(self) -> MlflowClient:
        return client(self.root)

    def experiment(self, task: str) -> str:
        return experiment_of(self.store, task)

    def run(self, task: str, cell: str) -> str:
        (found,) = self.store.search_runs([self.experiment(task)], f"tags.cell = '{cell}'", max_results=1)
        return str(found.info.run_id)


@pytest.fixture(scope="module")
def screenshot(request: pytest.FixtureRequest) -> Path | None:
    path = request.config.getoption("--screenshot")
    return Path(path).absolute() if path else None


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory, screenshot: Path | None) -> Iterator[UI]:
    """The server of `make ui` on the store of a sweep."""
    folder = tmp_path_factory.mktemp("ui")
    with pytest.MonkeyPatch.context() as environment:
        for name in ("RNNLAB_MIRROR", "MLFLOW_TRACKING_URI", "RNNLAB_SWEEP"):
            environment.delenv(name, raising=False)
        sweep = ("-m", "task=price,digits", "cell=rnn,lstm,gru", "seed=0,1,2")
        if screenshot is None:
            sweep = ("-m", "task=price", "cell=rnn,gru", "trainer.max_epochs=2")
        for pipeline in ("train", "evaluate"):
            process = start(folder, pipeline, *sweep)
            printed, _ = process.communicate(timeout=3600)
            assert process.returncode == 0, printed
        port = free_port()
        server = start(folder, "ui", f"port={port}")
    assert server.stdout is not None
    lines = iter(server.stdout.readline, "")
    printed = next(line.split()[-1] for line in lines if line.startswith("  price: AAPL, 5 ahead ("))
    try:
        answer(f"http://127.0.0.1:{port}/health", seconds=90)
        yield UI(folder, f"http://127.0.0.1:{port}/", printed)
    finally:
        server.terminate()
        server.communicate(timeout=60)


@pytest.fixture(scope="module")
def page(ui: UI) -> Iterator["Page"]:
    with playwright.sync_playwright() as engine:
        # as root, in a container, the browser's own sandbox does not start
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = engine.chromium.launch(executable_path=BROWSER, args=options)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE)
        # the UI unfolds its assistant over a third of the window on the first visit
        page.context.add_init_script(
            "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');"
            "localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')"
        )
        yield page
        browser.close()


def runs_page(ui: UI, task: str, more: str = "") -> str:
    return f"{ui.address}#/experiments/{ui.experiment(task)}/runs?workflowType=machine_learning{more}"


def test_from_the_printed_address_to_the_runs_by_name_and_their_comparison(ui: UI, page: "Page") -> None:
    page.goto(ui.printed)
    names = [page.get_by_role("link", name=re.compile(rf"^{cell} h32 s0\b")) for cell in ("rnn", "gru")]
    for name in names:
        name.wait_for()
    for name in names:
        page.get_by_role("row").filter(has=name).get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_text("Comparing 2 Runs from 1 Experiment").wait_for()
    page.locator(".js-plotly-plot svg.main-svg").first.wait_for()


def test_the_saved_charts_show_train_and_validation_in_one(ui: UI, page: "Page", screenshot: Path | None) -> None:
    task, group = ("digits", "rnn h64") if screenshot else ("price", "rnn h32 epochs=2")
    page.goto(runs_page(ui, task))
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Learning curves").first.click()
    page = opened.value
    page.set_default_timeout(PATIENCE)
    page.get_by_text("Means over seeds").first.wait_for()
    page.get_by_text(f"Group: {group}").first.wait_for()
    page.get_by_text("loss/train vs loss/validation").first.wait_for()
    chart = page.locator(".js-plotly-plot").first
    # two cells, each with both losses
    chart.locator("path.js-line").nth(3).wait_for(state="attached")
    if screenshot:
        page.wait_for_timeout(3000)  # for the bars below to be drawn
        page.screenshot(path=screenshot)


def test_the_page_of_a_run_tells_its_headline_and_leads_to_its_pictures(ui: UI, page: "Page") -> None:
    run = ui.run("price", "gru")
    page.goto(f"{ui.address}#/experiments/{ui.experiment('price')}/runs/{run}?workflowType=machine_learning")
    page.get_by_text("gru on price: test relative MAE").first.wait_for()
    assert page.get_by_text("Show more", exact=True).count() == 0
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="forecast", exact=True).click()
    opened.value.set_default_timeout(PATIENCE)
    shown = opened.value.locator("img[src^='blob:'], .image-outer-container img, canvas, img[src*='forecast']").first
    shown.wait_for(state="attached")
    opened.value.close()
    page.goto(f"{ui.address}#/experiments/{ui.experiment('price')}/runs/{run}/artifacts/evaluate/learning_curves.png")
    shown = page.locator("img[src^='blob:'], .image-outer-container img, canvas, img[src*='learning_curves']").first
    shown.wait_for(state="attached")


def test_the_charts_of_all_metrics_are_drawn(ui: UI, page: "Page") -> None:
    page.goto(runs_page(ui, "price", "&compareRunsMode=CHART"))
    for name in ("loss/train", "loss/train_step", "loss/validation"):
        page.get_by_text(name, exact=True).first.wait_for()
    page.locator(".js-plotly-plot path.js-line").first.wait_for(state="attached")


def test_the_champion_is_in_the_registry(ui: UI, page: "Page") -> None:
    (name,) = [model.name for model in ui.store.search_registered_models("name LIKE 'rnnlab-price-%'")]
    page.goto(f"{ui.address}#/models/{name}?workflowType=machine_learning")
    page.get_by_text("champion").first.wait_for()
    version = ui.store.get_model_version_by_alias(name, "champion")
    page.get_by_role("link", name=f"Version {version.version}").first.wait_for()
