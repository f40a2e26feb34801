"""How a task enters and leaves a recurrent net: what stands before it, after it, the loss, and how it is decoded."""

import inspect
from typing import Any

from rnnlab.arguments import check_arguments
from rnnlab.errors import UserError
from rnnlab.layouts.ctc import ConnectionistTemporal
from rnnlab.layouts.layout import Layout, Make
from rnnlab.layouts.one_to_many import OneToMany
from rnnlab.layouts.per_timestep import ManyToMany, ManyToOne, OneToOne
from rnnlab.layouts.sequence_to_sequence import SequenceToSequence
from rnnlab.spec import TaskSpec

LAYOUTS: dict[str, type[Layout]] = {
    "one_to_one": OneToOne,
    "one_to_many": OneToMany,
    "many_to_one": ManyToOne,
    "many_to_many": ManyToMany,
    "sequence_to_sequence": SequenceToSequence,
}


def build(spec: TaskSpec, make: Make, **options: Any) -> Layout:
    """The net of a task. make: gives a recurrent net from its input_size. options: of the layout, from task.net.

    Raises: `UserError` for an unknown layout or option, or one of another type.
    """
    if spec.layout not in LAYOUTS:
        raise UserError(f"Task {spec.task} has the layout {spec.layout}, which is none of {', '.join(LAYOUTS)}.")
    layout = ConnectionistTemporal if spec.loss == "ctc" else LAYOUTS[spec.layout]
    known = list(inspect.signature(layout).parameters)[2:]
    for name in options:
        if name not in known:
            raise UserError(f"task.net.{name}: the layout {spec.layout} of {spec.task} has {', '.join(known)} only.")
    check_arguments(layout, options, "task.net.")
    return layout(spec, make, **options)
