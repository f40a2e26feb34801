"""The command `rnnlab`, and what pipelines/*.py call: every job by name, without importing any."""

import sys
from difflib import get_close_matches

import rnnlab
from rnnlab.config.cli import Command
from rnnlab.config.schema import MADE
from rnnlab.output import until_nobody_reads

CHECK = "rnnlab.training.check.add_faults"

COMMANDS = {
    "fetch": Command("bring the data set of a task", "rnnlab.commands.fetch.fetch", ("task.dataset",)),
    "preprocess": Command("make arrays of it", "rnnlab.commands.preprocess.preprocess", ("task.dataset", "task.data")),
    "baseline": Command(
        "judge what a task can do without a recurrent net",
        "rnnlab.commands.baseline.baseline",
        ("task.dataset", "task.data", "task.judging", "task.baselines"),
    ),
    "train": Command("train a cell on a task, or with -m a sweep", "rnnlab.commands.train.train", MADE, CHECK),
    "evaluate": Command("judge trained nets on the test split", "rnnlab.commands.evaluate.evaluate", MADE, CHECK),
    "diagnose": Command("how far back a trained net remembers", "rnnlab.commands.diagnose.diagnose", MADE, CHECK),
    "predict": Command("answer raw input with a trained net", "rnnlab.commands.predict.predict", answers=True),
    "export": Command("write a trained net as ONNX", "rnnlab.commands.export.export"),
    "search": Command("search the settings of a cell on a task", "rnnlab.commands.search.search", MADE, CHECK),
    "report": Command("write and print the leaderboard", "rnnlab.commands.report.report"),
    "ui": Command("open the MLflow UI on the runs", "rnnlab.commands.ui.ui"),
    "compose": Command("write what each stage of dvc.yaml depends on", "rnnlab.commands.compose.compose"),
}

INIT = "make a workspace here, or in a folder that is given"

HELP = f"""{(rnnlab.__doc__ or "").splitlines()[0]}

rnnlab COMMAND [group=option] [key=value] [-m]     rnnlab COMMAND --help has every key

  {"init":11} {INIT}
"""


def run(name: str) -> None:
    """Do the job of this name, under the config that conf/ and the command line give."""
    COMMANDS[name].run(name)


def main() -> None:
    """The command `rnnlab`: its first word is the job, the others go to it."""
    arguments = sys.argv[1:]
    name = arguments[0] if arguments else "--help"
    if name in ("--help", "-h"):
        lines = (f"  {name:11} {command.text}" for name, command in COMMANDS.items())
        with until_nobody_reads():
            print(HELP + "\n".join(lines))
    elif name == "--version":
        print(rnnlab.__version__)
    elif name == "init":
        from rnnlab.commands.init import main as init  # here: the others do not need it

        init(arguments[1:])
    elif name in COMMANDS:
        sys.argv = [f"rnnlab {name}", *arguments[1:]]
        run(name)
    else:
        names = ["init", *COMMANDS]
        close = get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        print(f"error: rnnlab {name}: there is no such command.{hint} There are: {', '.join(names)}.", file=sys.stderr)
        sys.exit(2)
