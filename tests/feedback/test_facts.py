"""What is prepared for a report: the program's own words and nothing that anybody wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.feedback import facts
from chatkeep.feedback.facts import Facts, LastJob

WHOLE = Facts(
    release="0.1.0",
    page="backups",
    browser="Firefox",
    flags=("inbox", "readable-copies"),
    cohorts=("team",),
    errors=("QuotaFull", "Unavailable"),
    job=LastJob(4711, "backup", "failed", "QuotaFull"),
)
CANARIES = (
    "A week in Lisbon",
    "lisbon trip",
    "/home/olga/Exports/chat.zip",
    "olga@example.org",
    "https://127.0.0.1:8765/chats/5e0f/?q=secret",
    "ck_live_0123456789abcdef",
    "ya29.A0ARrdaM_token",
    "sl.B1x-token",
    "eyJhbGciOiJIUzI1NiJ9.e30.x",
    "a" * 64,
    "5e0f8c1e-7a54-4f7e-9a55-6e1d7c1b2a3d",
    "+351 912 345 678",
    "x: y\nrelease: 9.9.9",
)


def test_the_lines_are_few_and_can_be_read() -> None:
    assert facts.prepared(WHOLE).splitlines() == [
        "release: 0.1.0",
        "page: backups",
        "browser: Firefox",
        "flags: inbox, readable-copies",
        "cohorts: team",
        "errors: QuotaFull, Unavailable",
        "job: 4711, backup, failed, QuotaFull",
    ]


@pytest.mark.parametrize("canary", CANARIES)
def test_what_somebody_wrote_fits_nowhere(canary: str) -> None:
    """Even if a caller put it there by mistake."""
    everywhere = Facts(
        release=canary,
        page=canary,
        browser=canary,
        flags=(canary,),
        cohorts=(canary,),
        errors=(canary,),
        job=LastJob(1, canary, canary, canary),
    )
    assert facts.prepared(everywhere) == "browser: other\njob: 1\n"
    assert canary in "".join(everywhere.flags)  # it was really there


@given(st.text(max_size=60))
def test_nothing_but_short_names_of_letters_and_numbers_ever_gets_in(text: str) -> None:
    given_ = Facts(text, text, text, (text,), (text,), (text,), LastJob(7, text, text, text))
    for line in facts.prepared(given_).splitlines():
        assert set(line) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:,- ")
        assert len(line) < 500


def test_what_is_prepared_is_read_back() -> None:
    assert facts.read(facts.prepared(WHOLE)) == WHOLE


def test_what_was_taken_out_is_not_known() -> None:
    left = "".join(line for line in facts.prepared(WHOLE).splitlines(True) if not line.startswith(("job", "release")))
    found = facts.read(left)
    assert (found.release, found.job, found.page) == ("", None, "backups")


@given(st.text(max_size=300))
def test_anything_can_be_read(text: str) -> None:
    found = facts.read(text)
    assert facts.read(facts.prepared(found)).release == found.release


def test_a_person_may_write_what_they_like_and_it_is_no_fact() -> None:
    found = facts.read(
        "release: latest\nbrowser: mine\njob: the one of yesterday\nerrors: it says <b>no</b>, QuotaFull"
    )
    assert found == Facts(errors=("QuotaFull",))


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox"),
        ("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", "Chrome"),
        ("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge"),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15", "Safari"),
        ("curl/8.0 olga@example.org", "other"),
        ("", "other"),
    ],
)
def test_of_a_browser_only_the_family_is_told(agent: str, name: str) -> None:
    assert facts.family(agent) == name
