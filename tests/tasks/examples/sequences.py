"""Labelled numbers over time."""

from tests.tasks.examples.catalogue import Bad, Example

LONG = "id,time,x,label\n" + "".join(
    f"s{number},{step},{number * step % 7},{'ab'[number % 2]}\n" for number in range(20) for step in range(6)
)
"""Twenty sequences of two classes."""
GROUPED = "patient," + "".join(
    line if line.startswith("id,") else f"p{int(line.split(',')[0][1:]) % 2},{line}"
    for line in LONG.splitlines(keepends=True)
)


def own(name: str, content: str, messages: tuple[str, ...], *overrides: str) -> Bad:
    return Bad(name, ("task.path=ROOT/my.csv", *overrides), messages, files={"my.csv": content.encode()})


EXAMPLES = [
    Example(
        "sequences",
        ("task.train=24", "task.batch_size=8"),
        bad=(
            Bad("no such set", ("task.source=GunPont",), ("task.source=GunPont", "did you mean 'GunPoint'")),
            Bad("kind", ("task.kind=classes",), ("task.kind", "one of classification, regression, tagging")),
            Bad("a set of another kind", ("task.source=Covid3Month",), ("is a set of regression",)),
            Bad("no path", ("task.source=own",), ("task.path is missing", "task.source=GunPoint")),
            Bad("no file", ("task.path=ROOT/none.csv",), ("none.csv", "no such file")),
            Bad("a column of a set", ("task.label=x",), ("task.label", "a file of your own")),
            Bad("by", ("task.by=name",), ("task.by must be one of label, group, time",)),
            Bad("no validation", ("task.validation=0.9", "task.test=0.2"), ("leave nothing to train on",)),
            own("empty", "", ("my.csv is empty",)),
            own("no rows", "id,time,x,label\n", ("no rows",)),
            own("one row", "label,t0,t1\na,1,2\n", ("1 examples to share out",)),
            own("one class", LONG.replace(",b", ",a"), ("has the label 'a' alone",), "task.train=null"),
            own("no such column", LONG, ("has no column 'kind' (task.label)",), "task.label=kind"),
            own("no groups", LONG, ("no group is known",), "task.by=group"),
            own("two groups", GROUPED, ("2 groups cannot fill 3 parts",)),
            own("a text for a number", LONG.replace("s3,2,6", "s3,2,six"), ("line 22, column 3 (x): found 'six'",)),
            own("classes for numbers", LONG, ("found 'a' where a number belongs",), "task.kind=regression"),
            own(
                "tags of wide tables", "label,t0,t1\na,1,2\nb,2,3\n", ("a row for each timestep",), "task.kind=tagging"
            ),
        ),
    ),
    Example("sequences", ("task.source=Covid3Month", "task.kind=regression", "task.batch_size=32")),
]
