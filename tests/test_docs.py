"""What the documents say of cells is so: their Python runs, and their tables are those of the code."""

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn import functional

from rnnlab.cells.cell import Cell, HiddenState
from rnnlab.config.fingerprint import plain
from rnnlab.config.stages import compose_task
from rnnlab.data.batches import Batch
from rnnlab.layouts.per_timestep import ManyToOne
from rnnlab.losses import AbsoluteError
from rnnlab.modules.build import module_class
from rnnlab.results.paths import CONF
from rnnlab.spec import TaskSpec
from rnnlab.unroll.compiled import Compiled
from rnnlab.unroll.expression import NotRowwise
from rnnlab.unroll.program import trace
from tests.layouts.nets import options_of

HERE = Path(__file__).parents[1]
SHARED = {str(key) for key in OmegaConf.load(CONF / "recurrent.yaml")}
INPUTS, HIDDEN = 3, 4


def blocks(document: str, language: str) -> list[str]:
    """Fenced code, in order, each with empty lines before it, so that a traceback names the document's own line."""
    text = (HERE / document).read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return ["\n" * text[: match.start(1)].count("\n") + match.group(1) for match in found]


@cache
def run(document: str) -> dict[str, Any]:
    torch.manual_seed(0)
    namespace: dict[str, Any] = {"__name__": document}
    for block in blocks(document, "python"):
        exec(compile(block, str(HERE / document), "exec"), namespace)
    return namespace


@pytest.mark.parametrize("document", ["README.md", "docs/writing-a-cell.md", "docs/estimators.md"])
def test_the_python_of_a_document_runs(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert blocks(document, "python")
    run(document)


def test_the_guide_s_yaml_makes_its_module() -> None:
    (text,) = blocks("docs/writing-a-cell.md", "yaml")
    cell = OmegaConf.merge(OmegaConf.load(CONF / "recurrent.yaml"), OmegaConf.create(text))
    whole = OmegaConf.create({"task": {"training": {"hidden_size": 4}}, "cell": cell})
    options = OmegaConf.to_container(whole.cell, resolve=True)
    assert isinstance(options, dict)
    assert options.pop("defaults") == ["/recurrent@_here_", "_self_"]
    make = module_class(run("docs/writing-a-cell.md")[options.pop("_target_").rpartition(".")[2]])
    spec = TaskSpec("any", "many_to_one", INPUTS, 2, AbsoluteError(), {"mae": "min"}, "mae")
    module = make(**options, spec=spec.as_dict(), optimizer={"_target_": "torch.optim.Adam"}, net=options_of(ManyToOne))
    assert module(Batch(torch.randn(5, 6, INPUTS), torch.zeros(5, 2))).shape == (5, 2)


def whatever_a_kernel_takes(x: Tensor) -> Tensor:
    """All that the guide lists, once: their sum."""
    size, above = x.shape[-1:], x * x + 1
    made = [x**2, above**1.5, torch.where(x > 0, x, -1), torch.maximum(x, -x), torch.minimum(x, -x), x.clamp(-1, 1)]
    made += [x.abs(), x * x.sign(), x.exp(), x.expm1(), above.log(), above.log1p(), x.sin(), x.cos(), x.erf()]
    made += [above.sqrt(), above.rsqrt(), x.tanh(), x.sigmoid(), x.relu(), functional.softplus(x)]
    made += [functional.logsigmoid(x), functional.gelu(x), functional.elu(x), functional.selu(x)]
    made += [functional.hardtanh(x), functional.softsign(x), x.softmax(-1), functional.layer_norm(x, size)]
    made += [x.sum(-1, keepdim=True), x.mean(-1, keepdim=True), x.var(-1, keepdim=True), x.std(-1, keepdim=True)]
    made += [x.amax(-1, keepdim=True), x.logsumexp(-1, keepdim=True), torch.cat(x.chunk(2, dim=-1)[::-1], dim=-1)]
    made += [torch.cat(torch.split(x, [1, HIDDEN - 1], dim=-1), dim=-1), x[:, 1:2]]
    made += [x * x.sigmoid(), torch.where(x > 0, x, 0.01 * x), (x.square().sum(-1, keepdim=True) + 1e-12).sqrt()]
    return sum(made, torch.zeros_like(x))


def test_a_kernel_takes_what_the_guide_lists() -> None:
    def step(projected: Tensor, state: HiddenState, *_: Any) -> tuple[Tensor, HiddenState]:
        hidden = whatever_a_kernel_takes(projected + 0.5 * state.hidden).tanh()
        return hidden, HiddenState(hidden)

    x = torch.randn(1, 5, HIDDEN, dtype=torch.float64)
    state = HiddenState(torch.zeros(5, HIDDEN, dtype=torch.float64))
    ours, _ = Compiled(step)(x, state, {})
    assert torch.allclose(ours[0], step(x[0], state)[0], rtol=0, atol=1e-9)


def rows() -> dict[str, dict[str, str]]:
    """The rows of docs/cells.md's tables of cells, by name: column -> text."""
    found: dict[str, dict[str, str]] = {}
    header: list[str] = []
    for line in (HERE / "docs/cells.md").read_text(encoding="utf-8").splitlines():
        fields = [field.strip() for field in line.strip("|").split("|")] if line.startswith("|") else []
        if not fields or fields[0] == "cell":
            header = fields
        elif header and not fields[0].startswith("---"):
            assert len(fields) == len(header), line
            found[fields[0].strip("`")] = dict(zip(header, fields, strict=True))
    return found


ROWS = rows()
NAMES = sorted(path.stem for path in (CONF / "cell").glob("*.yaml"))


def test_every_cell_has_a_row() -> None:
    assert sorted(ROWS) == NAMES


@cache
def made(name: str) -> tuple[Cell, dict[str, Any]]:
    options = plain(compose_task("price", f"cell={name}").cell)
    cell_class = get_class(options.pop("_target_")).cell_class
    own = {key: value for key, value in options.items() if key not in SHARED | {"name"}}
    return cell_class(INPUTS, HIDDEN, **own), own


def value(formula: str, sizes: dict[str, float]) -> float:
    """Of a formula as the table has it, up to the comma behind which it speaks of other options."""
    formula = formula.partition(",")[0].replace("·", "*")
    assert re.fullmatch(r"[\w+\-*/() ]+", formula), formula
    return float(eval(formula, {}, sizes))


OWN = pytest.mark.parametrize("name", [name for name in ROWS if name != "torchrecurrent"])


@OWN
def test_sizes_and_options_are_as_the_table_says(name: str) -> None:
    cell, own = made(name)
    row = ROWS[name]
    assert {option for option in row["own options"].split(", ") if option} == set(own)
    letters = {
        "p": own.get("projection_size") or HIDDEN // 2,
        "u": own.get("backbone_units"),
        "n": own.get("backbone_layers"),
        "m": own.get("memory_size"),
        "s": own.get("state_size") or HIDDEN,
        "k": own.get("num_heads"),
        "w": own.get("window"),
    }
    sizes = {"i": INPUTS, "h": HIDDEN, **letters}
    assert math.isclose(value(row["parameters"], sizes), sum(p.numel() for p in cell.parameters()))
    assert math.isclose(value(row["state"], sizes), cell.state_size)


@OWN
def test_a_cell_runs_as_the_table_says(name: str) -> None:
    cell, _ = made(name)
    ways = ["fused"] if cell.has_fused_kernel else []
    ways += ["scan"] if cell.recurrence != "nonlinear" else []
    try:
        trace(cell.step, cell.project(torch.randn(2, 5, INPUTS)), cell.initial_state(5), cell.prepare())
        ways.append("kernel")
    except NotRowwise:
        ways.append("chunks")
    assert ROWS[name]["runs by"] == ", ".join(ways)


def test_the_table_of_shared_keys_is_the_file() -> None:
    text = (HERE / "docs/cells.md").read_text(encoding="utf-8").partition("## What all cells share")[2]
    keys = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", text, re.MULTILINE))
    defaults = OmegaConf.load(CONF / "recurrent.yaml")
    assert set(keys) == SHARED
    assert keys.pop("hidden_size") == "task's"
    assert OmegaConf.to_container(defaults).pop("hidden_size") == "${task.training.hidden_size}"
    del defaults["hidden_size"]
    assert OmegaConf.create("\n".join(f"{key}: {default}" for key, default in keys.items())) == defaults
