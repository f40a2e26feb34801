"""A trained net as a product: an MLflow model without a pickle, and predictions from the command line."""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import tomllib
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
import yaml
from PIL import Image

from rnnlab.commands.evaluate import evaluate
from rnnlab.commands.train import train
from rnnlab.config.stages import compose_task
from rnnlab.data.audio import wav_file
from rnnlab.errors import UserError
from rnnlab.results.paths import CHECKOUT, Results
from rnnlab.serving.model import save_model
from rnnlab.serving.predictor import Predictor
from rnnlab.serving.writing import write_answers
from tests.conftest import Run

SHORT = ("trainer.max_epochs=1", "trainer.limit_batches=3", "cell=gru", "cell.hidden_size=8", "tracking=none")
TRAINED = {
    "sentiment": (),
    "price": (),
    "series": (
        "task.path=ROOT/series.csv",
        "task.target=load",
        "task.inputs=[wind]",
        "task.window=8",
        "task.horizon=3",
    ),
    "digits": (),
    "translate": (),
    "text": (f"task.path={CHECKOUT / 'docs' / 'tasks.md'}", "task.largest_part=2000"),
    "speech": (),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a short run of each of these tasks, evaluated, under runs/<task>/<data>/gru/<fingerprint>."""
    root = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(0)
    dates = pd.date_range("2020-01-01", periods=200, freq="h")
    table = pd.DataFrame({"time": dates, "load": rng.normal(size=200).cumsum(), "wind": rng.normal(size=200)})
    table.drop(index=[40, 41, 90]).to_csv(root / "series.csv", index=False)
    # in this process: each of its own would take seconds to start
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNLAB_ROOT", str(root))
        patch.delenv("RNNLAB_MIRROR", raising=False)
        for task, overrides in TRAINED.items():
            cfg = compose_task(task, *SHORT, *(part.replace("ROOT", str(root)) for part in overrides))
            train(cfg)
            evaluate(cfg)
    return root


def results(root: Path, task: str) -> Results:
    (folder,) = root.glob(f"runs/{task}/*/gru/*")
    return Results(folder)


@pytest.fixture(scope="module")
def models(trained: Path) -> Path:
    """A model of each of them."""
    for task in TRAINED:
        save_model(results(trained, task), 0, trained / "models" / task)
    return trained / "models"


def test_a_model_holds_no_pickle_no_path_and_says_what_it_needs(models: Path) -> None:
    for task in TRAINED:
        files = {path.relative_to(models / task).as_posix() for path in (models / task).rglob("*") if path.is_file()}
        assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt", ".ckpt", ".pyc"))]
        held = {"artifacts/net/config.json", "artifacts/net/learnt.json", "artifacts/net/weights.safetensors"}
        assert {name for name in files if name.startswith("artifacts/")} == held
        assert "code/rnnlab/cells/gru.py" in files
        content = yaml.safe_load((models / task / "MLmodel").read_text())
        assert content["metadata"]["task"] == task
        assert json.loads(content["signature"]["inputs"])
        assert content["saved_input_example_info"]
        wanted = (models / task / "requirements.txt").read_text().split()
        assert all("==" in line and "+" not in line for line in wanted)
        text = "".join((models / task / name).read_text() for name in held if name.endswith("json"))
        assert "/series.csv" not in text, "a file is named, and not where it was"
        assert f'"title": "{task}: ' in text


def test_a_model_is_made_again_over_the_one_before(trained: Path, models: Path) -> None:
    before = (models / "price" / "MLmodel").read_text()
    (models / "price" / "left over").touch()
    save_model(results(trained, "price"), 0, models / "price")
    assert not (models / "price" / "left over").exists()
    assert (models / "price" / "MLmodel").read_text() != before


ALONE = """
import json, sys
sys.path.append(sys.argv[1])  # without its .pth files: rnnlab is not installed here
try:
    import rnnlab
    raise SystemExit("rnnlab is installed")
except ModuleNotFoundError:
    pass
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[2])
table = model.input_example
if len(sys.argv) > 3:
    table = pandas.read_parquet(sys.argv[3])
answers = model.predict(table)
import rnnlab
from importlib.metadata import packages_distributions
names = {name.partition(".")[0] for name in sys.modules}
owners = packages_distributions()
found = {package for name in names for package in owners.get(name, ())}
said = answers.to_json(orient="split", date_format="iso", double_precision=15)
print(json.dumps({"from": rnnlab.__file__, "packages": sorted(found), "answers": said}))
"""


def in_a_clean_process(folder: Path, model: Path, table: pd.DataFrame | None = None) -> dict[str, str]:
    arguments = [sysconfig.get_paths()["purelib"], str(model)]
    if table is not None:
        table.to_parquet(folder / "input.parquet")
        arguments.append(str(folder / "input.parquet"))
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "RNNLAB_ROOT")}
    done = subprocess.run(
        [sys.executable, "-S", "-c", ALONE, *arguments],
        capture_output=True, text=True, cwd=folder, env=environment, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize(
    "task", [task if task == "sentiment" else pytest.param(task, marks=pytest.mark.slow) for task in TRAINED]
)
def test_a_model_answers_where_rnnlab_is_not_installed(models: Path, tmp_path: Path, task: str) -> None:
    found = in_a_clean_process(tmp_path, models / task)
    assert found["from"].startswith(str(models / task / "code"))
    assert len(pd.read_json(io.StringIO(found["answers"]), orient="split"))
    declared = {line.partition("==")[0].lower() for line in (models / task / "requirements.txt").read_text().split()}
    direct = {"torch", "pytorch-lightning", "pandas", "numpy", "hydra-core", "omegaconf", "safetensors", "scipy"}
    assert direct <= declared
    of_mlflow = {"psutil", "cloudpickle"}  # with which it looks at the machine, and reads models of other kinds
    ours = set(project_requirements()) & {name.lower() for name in found["packages"]} - of_mlflow
    assert ours <= declared, "rnnlab imports what the model does not ask for"


def project_requirements() -> list[str]:
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        return [re.split(r"[^\w-]", line)[0].lower() for line in tomllib.load(file)["project"]["dependencies"]]


def prices_of_evaluate(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The raw table that `price` was trained on, and what evaluate predicted."""
    (raw,) = root.glob("data/cache/price/*/raw/AAPL.csv")
    table = pd.read_csv(raw)
    volume = table["Volume"].astype(float)
    table = pd.DataFrame({"date": table["Date"], "close": table["Adj Close"], "volume": volume})
    return table, pd.read_parquet(results(root, "price").evaluate(0) / "predictions.parquet")


def same_forecasts(answers: pd.DataFrame, expected: pd.DataFrame) -> None:
    answers = answers.assign(origin=pd.to_datetime(answers["origin"]).astype(expected["origin"].dtype))
    found = expected.merge(answers, on=["origin", "horizon"], how="left", suffixes=("_", ""))
    assert np.allclose(found["predicted_return"], found["predicted_return_"], rtol=0, atol=1e-7)
    assert np.allclose(found["close"], found["close_"], rtol=1e-9, atol=0)


def test_a_clean_process_forecasts_what_evaluate_did(trained: Path, models: Path, tmp_path: Path) -> None:
    table, expected = prices_of_evaluate(trained)
    found = in_a_clean_process(tmp_path, models / "price", table)
    answers = pd.read_json(io.StringIO(found["answers"]), orient="split", dtype=False)
    same_forecasts(answers.assign(origin=pd.to_datetime(answers["origin"])), expected)


@pytest.fixture
def served(models: Path, tmp_path: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "RNNLAB_ROOT")}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    server = subprocess.Popen(
        [
            sys.executable, "-m", "mlflow", "models", "serve", "-m", str(models / "price"), "--env-manager", "local",
            "-h", "127.0.0.1", "-p", str(port), "--workers", "1",
        ],
        env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 90
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/ping", timeout=5).raise_for_status()
                break
            except requests.RequestException:
                assert server.poll() is None, server.stdout and server.stdout.read().decode()
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)


@pytest.mark.slow
def test_a_served_model_forecasts_what_evaluate_did(trained: Path, served: str) -> None:
    table, expected = prices_of_evaluate(trained)
    body = {"dataframe_split": table.to_dict(orient="split", index=False)}
    answer = requests.post(served, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    same_forecasts(pd.DataFrame(answer.json()["predictions"]), expected)
    lacking = requests.post(served, json={"dataframe_records": [{"date": "2024-01-01"}]}, timeout=60)
    assert lacking.status_code == 400
    assert "close" in lacking.text


def test_digits_get_the_probabilities_of_evaluate_through_the_model(trained: Path, models: Path) -> None:
    expected = pd.read_parquet(results(trained, "digits").evaluate(0) / "predictions.parquet")
    (images,) = trained.glob("data/cache/digits/*/processed/test_images.npy")
    table = pd.DataFrame({"image": [image.ravel().tolist() for image in np.load(images)]})
    answers = mlflow.pyfunc.load_model(str(models / "digits")).predict(table)
    assert answers["predicted"].astype(int).tolist() == expected["predicted"].tolist()
    assert np.allclose(answers["confidence"], expected["confidence"], rtol=0, atol=1e-6)


def test_a_text_is_gone_on_with_as_the_options_say(models: Path) -> None:
    model = mlflow.pyfunc.load_model(str(models / "text"))
    table = pd.DataFrame({"prompt": ["The cell ", "T"]})
    params = {"length": 12, "temperature": 0.5, "seed": 3}
    first, again = (model.predict(table, params=params) for _ in range(2))
    assert first["continuation"].str.len().tolist() == [12, 12]
    assert first.equals(again)
    assert first["nats_per_character"].isna().tolist() == [False, True], "one character alone is not predicted"
    assert not first.equals(model.predict(table, params=params | {"seed": 4}))


@pytest.mark.parametrize("kind", ["csv", "parquet", "json", "jsonl"])
def test_a_long_table_is_answered_in_its_order_whatever_its_kind(
    run: Run, trained: Path, models: Path, tmp_path: Path, kind: str
) -> None:
    texts = [f"a {'good' if number % 3 else 'bad'} film, number {number}" for number in range(2300)]
    table = pd.DataFrame({"id": range(len(texts)), "text": texts})
    path = tmp_path / f"reviews.{kind}"
    write = {
        "csv": lambda: table.to_csv(path, index=False),
        "parquet": lambda: table.to_parquet(path, row_group_size=500),
        "json": lambda: table.to_json(path, orient="records"),
        "jsonl": lambda: table.to_json(path, orient="records", lines=True),
    }
    write[kind]()
    output = tmp_path / f"answers.{kind}"
    folder = results(trained, "sentiment").folder
    done = run("predict", f"model={folder}", f"input={path}", f"output={output}")
    assert done.code == 0, done.err
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": pd.read_json,
            "jsonl": lambda path: pd.read_json(path, lines=True)}  # fmt: skip
    answers = read[kind](output)
    assert answers["row"].tolist() == list(range(2300))
    expected = Predictor.of_run(results(trained, "sentiment").train(0)).predict(table)
    assert answers["predicted"].tolist() == expected["predicted"].tolist()
    assert np.allclose(answers["p_positive"], expected["p_positive"], rtol=0, atol=1e-6)


def test_an_endless_input_is_answered_as_it_comes(trained: Path) -> None:
    predictor = Predictor.of_run(results(trained, "sentiment").train(0))
    endless = (pd.DataFrame({"text": [f"film {number}"] * 10}) for number in count())
    answers = pd.concat(list(islice(predictor.respond(endless), 5)))
    assert answers["row"].tolist() == list(range(50))


def test_a_table_of_ones_own_is_read_as_for_training(run: Run, trained: Path, tmp_path: Path) -> None:
    """The very file, with its gaps, in another form: German dates, semicolons, decimal commas, newest first."""
    table = pd.read_csv(trained / "series.csv", parse_dates=["time"])
    expected = pd.read_parquet(results(trained, "series").evaluate(0) / "predictions.parquet")
    odd = table.assign(time=table["time"].dt.strftime("%d.%m.%Y %H:%M"))[::-1]
    odd.to_csv(tmp_path / "odd.csv", index=False, sep=";", decimal=",")
    folder = results(trained, "series").folder
    done = run("predict", f"model={folder}", f"input={tmp_path / 'odd.csv'}", f"output={tmp_path / 'out.csv'}")
    assert done.code == 0, done.err
    answers = pd.read_csv(tmp_path / "out.csv", parse_dates=["origin"])
    assert answers["origin"].iloc[-1] == table["time"].iloc[-1]
    answers["origin"] = answers["origin"].astype(expected["origin"].dtype)
    found = expected.merge(answers, on=["origin", "horizon"], how="left", suffixes=("_", ""))
    assert np.allclose(found["predicted"], found["predicted_"], rtol=0, atol=1e-6)


def test_a_table_that_may_be_read_in_two_ways_is_answered_once_the_command_says_how(
    run: Run, trained: Path, tmp_path: Path
) -> None:
    hours = pd.date_range("2021-02-01", periods=12, freq="h").strftime("%d/%m/%Y %H:%M")
    table = pd.DataFrame({"time": hours, "load": [f"{100 + row}.126" for row in range(12)], "wind": 1})
    table.to_csv(tmp_path / "new.csv", index=False, sep=";")
    command = [f"model={results(trained, 'series').folder}", f"input={tmp_path / 'new.csv'}"]
    output = tmp_path / "out.csv"
    keys = ["task.date_order=dmy", "task.decimal=point"]
    for given in range(2):
        refused = run("predict", *command, *keys[:given], f"output={output}")
        assert refused.code == 2
        assert keys[given] in refused.err
        assert not output.exists()
    done = run("predict", *command, *keys, f"output={output}")
    assert done.code == 0, done.err
    answers = pd.read_csv(output, parse_dates=["origin"])
    assert answers["value"].iloc[-1] == 111.126
    assert answers["origin"].iloc[-1] == pd.Timestamp("2021-02-01 11:00")
    refused = run("predict", *command, "task.decimal=komma")
    assert "task.decimal must be one of comma, point or null, got komma" in refused.err


def test_a_text_file_is_scored_character_by_character(run: Run, trained: Path, tmp_path: Path) -> None:
    text = (CHECKOUT / "docs" / "tasks.md").read_text(encoding="utf-8")[:5000]
    (tmp_path / "my.txt").write_text(text, encoding="utf-8", newline="")
    folder = results(trained, "text").folder
    done = run("predict", f"model={folder}", f"input={tmp_path / 'my.txt'}", f"output={tmp_path / 'out.parquet'}")
    assert done.code == 0, done.err
    answers = pd.read_parquet(tmp_path / "out.parquet")
    assert answers["place"].tolist() == list(range(1, len(text)))
    table = pd.DataFrame({"prompt": [text]})
    whole = Predictor.of_run(results(trained, "text").train(0)).predict(table, length=0)
    assert whole["nats_per_character"].item() == pytest.approx(answers["nats"].mean(), abs=1e-5)


def test_pictures_of_a_folder_and_what_is_typed_are_answered(run: Run, trained: Path, tmp_path: Path) -> None:
    (images,) = trained.glob("data/cache/digits/*/processed/test_images.npy")
    pixels = np.load(images)[:3]
    for number, image in enumerate(pixels):
        shown = 255 - image if number == 1 else image  # ink on paper, or chalk on a board
        Image.fromarray(shown).save(tmp_path / f"{number}.png")
    expected = pd.read_parquet(results(trained, "digits").evaluate(0) / "predictions.parquet")
    model = f"model={results(trained, 'digits').folder}"
    done = run("predict", model, f"input={tmp_path}", f"output={tmp_path / 'out.jsonl'}")
    assert done.code == 0, done.err
    answers = pd.read_json(tmp_path / "out.jsonl", lines=True)
    assert answers["file"].tolist() == ["0.png", "1.png", "2.png"]
    assert np.allclose(answers["confidence"], expected["confidence"][:3], rtol=0, atol=1e-6)
    typed = run("predict", model, f"input={pixels[0].ravel().tolist()}")
    assert json.loads(typed.out.splitlines()[-1])["confidence"] == pytest.approx(expected["confidence"][0], abs=1e-6)
    date = run("predict", f"model={results(trained, 'translate').folder}", "input='en_GB Monday, 4 March 2019'")
    assert set(json.loads(date.out)) == {"row", "written"}


def test_a_list_of_texts_is_a_row_each(run: Run, trained: Path, tmp_path: Path) -> None:
    model = f"model={results(trained, 'sentiment').folder}"
    done = run("predict", model, "input=['a good film','a bad film',1984]")
    assert done.code == 0, done.err
    answers = pd.read_json(io.StringIO(done.out), lines=True)
    table = pd.DataFrame({"text": ["a good film", "a bad film", "1984"]})
    expected = Predictor.of_run(results(trained, "sentiment").train(0)).predict(table)
    assert answers["row"].tolist() == [0, 1, 2]
    assert np.allclose(answers["p_positive"], expected["p_positive"], rtol=0, atol=1e-6)


def test_a_row_of_a_text_file_has_the_number_of_its_line(run: Run, trained: Path, tmp_path: Path) -> None:
    lines = ["a good film", "", *(f"film {number}" for number in range(1500)), "  ", "a bad film"]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    folder = results(trained, "sentiment").folder
    done = run("predict", f"model={folder}", f"input={tmp_path / 'lines.txt'}", f"output={tmp_path / 'out.csv'}")
    assert done.code == 0, done.err
    expected = [number for number, line in enumerate(lines) if line.strip()]
    assert pd.read_csv(tmp_path / "out.csv")["row"].tolist() == expected


def test_an_index_of_ones_own_is_no_number_of_a_row(run: Run, trained: Path, tmp_path: Path) -> None:
    table = pd.DataFrame({"text": ["good", "bad"]}, index=pd.Index([7, 8], name="row"))
    predictor = Predictor.of_run(results(trained, "sentiment").train(0))
    assert predictor.predict(table)["row"].tolist() == [0, 1]
    table.to_parquet(tmp_path / "in.parquet")
    folder = results(trained, "sentiment").folder
    done = run("predict", f"model={folder}", f"input={tmp_path / 'in.parquet'}")
    assert [json.loads(line)["row"] for line in done.out.splitlines()] == [0, 1]


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "json", "jsonl", "txt"])
def test_an_error_names_the_file_and_the_row_as_the_answers_count(
    run: Run, trained: Path, tmp_path: Path, kind: str
) -> None:
    texts = ["good"] * 1200
    texts[1100] = "..."
    table = pd.DataFrame({"id": range(len(texts)), "text": texts})
    path = tmp_path / f"reviews.{kind}"
    write = {
        "csv": lambda: table.to_csv(path, index=False),
        "tsv": lambda: table.to_csv(path, index=False, sep="\t"),
        "parquet": lambda: table.to_parquet(path),
        "json": lambda: table.to_json(path, orient="records"),
        "jsonl": lambda: table.to_json(path, orient="records", lines=True),
        "txt": lambda: path.write_text("\n".join(texts)),
    }
    write[kind]()
    done = run("predict", f"model={results(trained, 'sentiment').folder}", f"input={path}")
    assert done.code == 2
    assert done.err.splitlines()[1:] == [
        "the net was trained on sentiment: sentences on films",
        f"error: {path}, row 1100, column 'text': there is no word in it.",
    ]


def test_a_list_in_a_cell_is_told_with_its_row(run: Run, trained: Path, tmp_path: Path) -> None:
    model = f"model={results(trained, 'digits').folder}"
    for bad, message in (("[1, 2", "784 pixels"), ("[1, 2]", "found 2 numbers")):
        cells = [json.dumps([number % 256 for number in range(784)]), bad]
        pd.DataFrame({"image": cells}).to_csv(tmp_path / "digits.csv", index=False)
        done = run("predict", model, f"input={tmp_path / 'digits.csv'}")
        assert done.code == 2
        assert f"{tmp_path / 'digits.csv'}, row 1, column 'image': " in done.err
        assert message in done.err
        assert "no such file" not in done.err
    typed = run("predict", model, "input='[1, 2'")
    assert "no such file" in typed.err


def test_a_net_is_found_by_the_overrides_of_its_training(
    run: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNLAB_ROOT", str(trained))
    asked = "input=[a good film,a bad film]"
    by_folder = run("predict", f"model={results(trained, 'sentiment').folder}", asked)
    found = run("predict", "task=sentiment", *SHORT, *TRAINED["sentiment"], asked)
    assert found.code == 0, found.err
    assert found.out == by_folder.out != ""
    assert f"the net in {results(trained, 'sentiment').train(0).relative_to(trained)}\n" in found.err
    other = run("predict", "task=sentiment", *SHORT, *TRAINED["sentiment"], "seed=9", asked)
    assert other.code == 2
    assert "sentiment/gru seed 9 is not trained under this config: run `rnnlab train`" in other.err


def test_answers_that_nobody_reads_any_longer_are_not_computed(trained: Path, tmp_path: Path) -> None:
    """Behind `| head -1`. The last row could not be answered, and would be told if it were reached."""
    path = tmp_path / "big.csv"
    path.write_text("id,text\n" + "".join(f"{number},a good film\n" for number in range(5000)) + "5000,\n")
    command = [sys.executable, str(CHECKOUT / "pipelines" / "predict.py")]
    process = subprocess.Popen(
        [*command, f"model={results(trained, 'sentiment').folder}", f"input={path}"],
        env={**os.environ, "RNNLAB_ROOT": str(tmp_path), "PYTHONPATH": str(CHECKOUT / "src")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["row"] == 0
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait(timeout=60) == 0, told
    assert told == f"predict, in {tmp_path}\nthe net was trained on sentiment: sentences on films\n"


def test_what_cannot_be_answered_is_told_and_nothing_is_written(run: Run, trained: Path, tmp_path: Path) -> None:
    wav = tmp_path / "a.wav"
    wav.write_bytes(wav_file(np.zeros(100, np.float32), 8000))
    (tmp_path / "a.csv").write_text("id,text\n1,good\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "no rows.csv").write_text("text\n")
    (tmp_path / "late.jsonl").write_text('{"text": "good"}\n{"text": ""}\n')
    (tmp_path / "latin.jsonl").write_bytes('{"text": "bon"}\n{"text": "très bon"}\n'.encode("latin-1"))
    (tmp_path / "short.csv").write_text("date,close,volume\n2024-01-01,1,1\n2024-01-02,2,1\n")
    (tmp_path / "flat.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    sentiment, price, digits = (f"model={results(trained, name).folder}" for name in ("sentiment", "price", "digits"))
    other = f"model={tmp_path}"
    for overrides, messages in (
        ((sentiment,), ("input is missing",)),
        (
            (f"input={tmp_path / 'a.csv'}",),
            ("price/lstm seed 0 is not trained under this config", "rnnlab train", "models:/"),
        ),
        (("model=nowhere", "input=a"), ("model=nowhere", "no such folder")),
        ((other, "input=a"), ("is no folder of a run",)),
        ((sentiment, "seed=7", "input=a"), ("no seed=7", "seed=0")),
        (("model=models:/rnnlab-price@champion", "input=a"), ("models:/rnnlab-price@champion", "no store")),
        ((sentiment, "input=nowhere.csv"), ("input=nowhere.csv", "no such file")),
        ((sentiment, "input='  '"), ("row 0", "is empty")),
        ((sentiment, "input=''"), ("input is empty", "give a file")),
        ((digits, "input="), ("input is empty",)),
        ((sentiment, "input=[good,'']"), ("row 1", "is empty")),
        ((sentiment, "input=[good,[bad]]"), ("row 1", "found ['bad'], a text is needed")),
        ((sentiment, "input=[]"), ("no rows",)),
        ((sentiment, "input=[a.csv,b.csv]"), ("a.csv", "one file")),
        ((price, "input=[1,2]"), ("a file is needed",)),
        ((sentiment, f"input={wav}"), ("sentiment takes files of these kinds", ".csv")),
        ((sentiment, f"input={tmp_path}"), ("is a folder",)),
        ((sentiment, f"input={tmp_path / 'empty.csv'}"), ("empty.csv is empty", "give a table")),
        ((sentiment, f"input='{tmp_path / 'no rows.csv'}'"), ("no rows",)),
        ((sentiment, f"input={tmp_path / 'late.jsonl'}"), ("late.jsonl, row 1, column 'text'", "is empty")),
        ((sentiment, f"input={tmp_path / 'latin.jsonl'}"), ("latin.jsonl, line 2", "UTF-8")),
        ((price, f"input={tmp_path / 'a.csv'}"), ("a.csv", "no date column")),
        ((price, f"input={tmp_path / 'short.csv'}"), ("2 rows", "at least 33")),
        ((price, "input=AAPL"), ("a file is needed", "the price")),
        ((digits, f"input={tmp_path / 'flat.png'}"), ("flat.png", "no picture")),
        ((digits, "input=[1,2,3]"), ("found 3 numbers", "28 x 28")),
        ((sentiment, f"input={tmp_path / 'a.csv'}", "output=a.xls"), ("output=a.xls", ".parquet")),
        ((sentiment, "input=good", f"output={folder}"), (f"output={folder} is a folder",)),
    ):
        output = () if overrides[-1].startswith("output") else (f"output={tmp_path / 'out.csv'}",)
        done = run("predict", *overrides, *output)
        assert done.code == 2, (overrides, done.out, done.err)
        for message in messages:
            assert message in done.err, (overrides, done.err)
        assert "Traceback" not in done.err
        assert not list(tmp_path.glob("*out.csv*"))


def test_a_writer_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    def tables() -> Iterator[pd.DataFrame]:
        yield pd.DataFrame({"row": [0]})
        raise KeyboardInterrupt

    for kind in ("csv", "parquet", "json", "jsonl"):
        with pytest.raises(KeyboardInterrupt):
            write_answers(tables(), str(tmp_path / f"out.{kind}"))
        assert not list(tmp_path.iterdir())


def test_a_net_that_names_foreign_code_or_does_not_fit_is_not_loaded(models: Path, tmp_path: Path) -> None:
    net = tmp_path / "net"
    shutil.copytree(models / "sentiment" / "artifacts" / "net", net)
    config = json.loads((net / "config.json").read_text())
    pickled = tmp_path / "x.pkl"
    marker = tmp_path / "ran"
    pickled.write_bytes(b"cposix\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR.")
    read = {"_target_": "pandas.read_pickle", "filepath_or_buffer": str(pickled)}
    for group, changes in (
        ("cell", {"_target_": "os.system"}),
        ("cell", {"_target_": "rnnlab.tracking.describe.subprocess.run"}),
        ("cell", {"_target_": "rnnlab.tasks.classification.sentiment.data.SentimentData"}),
        ("cell", {"_target_": None}),
        ("data", {"name": read}),
        ("data", {"name": [read]}),
        ("data", {"name": {**read, "_target_": "rnnlab.serving.predictor.pd.read_pickle"}}),
        ("data", {"name": "${cell}"}),
        ("data", {"_target_": "${cell._target_}"}),
    ):
        foreign = json.loads(json.dumps(config))
        (foreign["task"]["data"] if group == "data" else foreign["cell"]).update(changes)
        (net / "config.json").write_text(json.dumps(foreign))
        with pytest.raises(UserError, match="of rnnlab's: not loaded"):
            Predictor.load(net)
    assert not marker.exists()
    (net / "config.json").write_text(json.dumps({**config, "cell": {**config["cell"], "hidden_size": 9}}))
    with pytest.raises(UserError, match="does not fit"):
        Predictor.load(net)
    (net / "config.json").write_text(json.dumps(config))
    whole = (net / "weights.safetensors").read_bytes()
    (net / "weights.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"weights\.safetensors is not whole"):
        Predictor.load(net)
    (net / "weights.safetensors").unlink()
    with pytest.raises(UserError, match=r"no weights\.safetensors"):
        Predictor.load(net)


def test_a_run_of_an_earlier_version_is_told_to_be_trained_again(trained: Path, tmp_path: Path) -> None:
    old = Results(tmp_path / "old")
    shutil.copytree(results(trained, "price").train(0), old.train(0))
    (old.train(0) / "weights.safetensors").unlink()
    with pytest.raises(UserError, match=r"no weights\.safetensors: it is not whole"):
        Predictor.of_run(old.train(0))
    (old.train(0) / "learnt.json").unlink()
    with pytest.raises(UserError, match="force=true"):
        save_model(old, 0, tmp_path / "model")
    with pytest.raises(UserError, match="train this seed first"):
        save_model(old, 1, tmp_path / "model")
    assert not (tmp_path / "model").exists()
