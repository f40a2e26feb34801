"""Nets of any layout, for tests."""

from typing import Any

from rnnlab.layouts.layout import Layout, Make, build
from rnnlab.layouts.one_to_many import OneToMany
from rnnlab.layouts.per_timestep import ManyToMany, ManyToOne, OneToOne
from rnnlab.layouts.sequence_to_sequence import SequenceToSequence
from rnnlab.spec import TaskSpec

LAYOUTS: dict[str, type[Layout]] = {
    layout.name: layout for layout in (OneToOne, OneToMany, ManyToOne, ManyToMany, SequenceToSequence)
}


def options_of(layout: type[Layout], **options: Any) -> dict[str, Any]:
    """As conf/task has them under `net`."""
    return {"_target_": f"{layout.__module__}.{layout.__name__}", **options}


def build_net(spec: TaskSpec, make: Make, **options: Any) -> Layout:
    """The net that a config of these options describes."""
    return build(spec, make, options_of(LAYOUTS[spec.layout], **options))
