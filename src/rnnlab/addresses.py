"""Addresses as they may be shown and kept: scheme, host, port and path; never user, password, query or fragment."""

import re

SCHEME = (
    r"(?:[A-Za-z][A-Za-z0-9+.-]{0,31}://|(?i:https?):/"
    r"|(?<![A-Za-z0-9+.-])(?!models:|runs:)[A-Za-z][A-Za-z0-9+.-]{1,31}:/(?=[^\s/]*@))"
)
"""pathlib leaves one slash of two; MLflow's models:/name@alias has no more."""

WHOLE = re.compile(rf"((?:[^\s='\"]+=)?{SCHEME})(.*)", re.DOTALL)
"""A value that is an address, or the override of the command line that gives it."""

END = r"[.,;:!?)\]}>'\"`]*(?:\s|$)"
WITHIN = re.compile(
    rf"(?P<quote>['\"`])(?P<quoted>{SCHEME})(?P<in_quotes>.*?)(?=(?P=quote)(?:[\s.,;:)\]}}>|&'\"`]|$))"
    rf"|(?P<scheme>{SCHEME})(?P<bare>(?:\[[^\]\s]*\]|\S)*?)(?={END}|[,;|]{SCHEME})"
)
"""An address within a text: up to the quote that it begins with, else up to the next space, another address, or the
punctuation before them."""

RELATIVE = re.compile(r"((?:\burl: |': |\b(?:GET|HEAD|POST|PUT|PATCH|DELETE) )/[^\s?#]*)[?#]\S*")
"""Path and query of an address, as urllib3's errors and log name it."""

HOST = re.compile(r"(?:\[[^\]/?#@]*\]|[^\[\]/?#@:]*)(:\d{1,5})?(?=[/?#]|$)")


def without_secrets(text: str) -> str:
    """The text with scheme, host, port and path alone of every address in it.

        cannot read http://me:pw@host:80/a.csv?sig=x: refused    cannot read http://host:80/a.csv: refused

    A password that is not percent-encoded may hold any sign but a space. Where it cannot be said whether an @ ends it
    or belongs to path or query, `***` takes the place of host and path.
    """
    return RELATIVE.sub(r"\1", WITHIN.sub(_shown_within, text))


def shown(value: str) -> str:
    """The same of a single value, or of an override key=value: one that begins as an address is one to its end."""
    whole = WHOLE.fullmatch(value)
    return without_secrets(whole[1] + _host_and_path(whole[1], whole[2]) if whole else value)


def _shown_within(found: re.Match[str]) -> str:
    quote, scheme = found["quote"] or "", found["quoted"] or found["scheme"]
    return quote + scheme + _host_and_path(scheme, found["in_quotes"] or found["bare"] or "")


def _host_and_path(scheme: str, rest: str) -> str:
    """rest: what follows the scheme."""
    plain = HOST.match(rest)
    behind = [rest[at.end() :] for at in re.finditer("@", rest) if HOST.match(rest, at.end())]
    # a database's address may have / in its password: what looks like a port may be the beginning of one
    if "@" not in rest or (plain and (plain[1] is None or scheme.lower().rstrip("/").endswith(("http:", "https:")))):
        kept = rest
    elif behind and not plain and (len(behind) == 1 or ":" not in rest.removesuffix(behind[0])):
        kept = behind[0]
    else:
        kept = "***"
    return re.split("[?#]", kept)[0]
