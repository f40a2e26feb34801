"""Optional packages, each brought by an extra of rnnlab."""

from importlib.util import find_spec

from rnnlab.errors import MissingExtra


def require(extra: str, what: str, *packages: str, instead: str = "") -> None:
    """Check that the packages are installed, without importing any.

    extra: which brings them. what: needs them, as the message begins. packages: by the names that pip knows; those of
    their modules are the same, with _ for -. instead: what else the user can do, as the message ends.

    Raises: `MissingExtra` that names the first one which is not installed.
    """
    for package in packages:
        if not _is_there(package.replace("-", "_")):
            raise MissingExtra(
                f"{what} needs the package {package}, which is not installed: pip install 'rnnlab[{extra}]'{instead}."
            )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # a finder may refuse a name
        return False
