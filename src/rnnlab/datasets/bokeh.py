"""Tables of the package bokeh-sampledata, which is installed beside this one."""

from importlib.util import find_spec
from pathlib import Path

from rnnlab.errors import UserError


def installed_table(name: str) -> Path:
    """The packed table of that name, found without importing the package.

    Raises: `UserError` where the package is not installed, or is another version.
    """
    found = find_spec("bokeh_sampledata")
    path = Path(found.origin).parent / "_data" / name if found and found.origin else None
    if path is None or not path.is_file():
        raise UserError("The sample needs the package bokeh-sampledata: pip install bokeh-sampledata.")
    return path
