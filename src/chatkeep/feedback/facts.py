"""The lines about the program that a person is shown before they send anything. Pure.

Each fact has a form, and what does not have that form is left out: names that the program gave itself, and numbers.
There is no form that a title, a text, a path, an address or a token fits. What was sent is read back by the same forms,
so all that is known of a report is what its person left in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
"""What is looked for in the name a browser gives itself; the rarer first, because each claims to be the next too."""
LONGEST = 4_000
_RELEASE = re.compile(r"\d{1,4}(\.\d{1,4}){1,3}((a|b|rc|\.dev)\d{1,4})?")
_NAME = re.compile(r"[a-z]{1,20}(-[a-z]{1,20}){0,4}")
_CODE = re.compile(r"([A-Z]{1,4}[a-z]{1,15}){1,6}")
_MOST = 10


class LastJob(msgspec.Struct, frozen=True):
    """The last job of the person that did not end well. outcome: a state; code: of its error, "" for none."""

    number: int
    kind: str
    outcome: str
    code: str = ""


class Facts(msgspec.Struct, frozen=True):
    """What the program knows of itself at the moment of the report. page: its name, not its address."""

    release: str = ""
    page: str = ""
    browser: str = ""
    flags: tuple[str, ...] = ()
    cohorts: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    job: LastJob | None = None


def family(agent: str) -> str:
    """The family of a browser from the name it gives itself, without version and system; "other" for the rest."""
    return next((name for mark, name in BROWSERS if f"{mark}/" in agent), "other")


def prepared(facts: Facts) -> str:
    """The lines that are shown, "release: 0.1.0" and so on. What does not have its form is not in them."""
    job = facts.job
    found = [
        ("release", _fit(_RELEASE, facts.release)),
        ("page", _fit(_NAME, facts.page)),
        ("browser", facts.browser if facts.browser in {name for _, name in BROWSERS} else "other"),
        ("flags", _all(_NAME, facts.flags)),
        ("cohorts", _all(_NAME, facts.cohorts)),
        ("errors", _all(_CODE, facts.errors)),
        ("job", _job(job) if job else ""),
    ]
    return "".join(f"{name}: {value}\n" for name, value in found if value)


def _fit(form: re.Pattern[str], value: str) -> str:
    return value if form.fullmatch(value) else ""


def _all(form: re.Pattern[str], values: Sequence[str]) -> str:
    return ", ".join([value for value in values if form.fullmatch(value)][:_MOST])


def _job(job: LastJob) -> str:
    parts = [str(int(job.number)), _fit(_NAME, job.kind), _fit(_NAME, job.outcome), _fit(_CODE, job.code)]
    return ", ".join(filter(None, parts))


def read(text: str) -> Facts:
    """What a person left of the lines. What they wrote instead is theirs, and is no fact."""
    lines = dict(line.strip().split(": ", 1) for line in text[:LONGEST].splitlines() if ": " in line)
    browser = lines.get("browser", "")
    return Facts(
        release=_fit(_RELEASE, lines.get("release", "")),
        page=_fit(_NAME, lines.get("page", "")),
        browser=browser if browser == family(f"{browser}/") or browser == "other" else "",
        flags=_several(_NAME, lines.get("flags", "")),
        cohorts=_several(_NAME, lines.get("cohorts", "")),
        errors=_several(_CODE, lines.get("errors", "")),
        job=_read_job(lines.get("job", "")),
    )


def _several(form: re.Pattern[str], text: str) -> tuple[str, ...]:
    return tuple(value for value in text.split(", ") if form.fullmatch(value))[:_MOST]


def _read_job(text: str) -> LastJob | None:
    number, *rest = text.split(", ")
    if not re.fullmatch(r"[1-9][0-9]{0,17}", number) or not 2 <= len(rest) <= 3:
        return None
    kind, outcome, code = (*rest, "")[:3]
    if not (_NAME.fullmatch(kind) and _NAME.fullmatch(outcome)):
        return None
    return LastJob(int(number), kind, outcome, _fit(_CODE, code))
