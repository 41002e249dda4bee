"""What Microsoft's refusals mean to us, and that nothing secret is said with them."""

from __future__ import annotations

import json

import pytest
from tests.providers.onedrive.conftest import Opening

from chatkeep.errors import ChatkeepError, NotFound, QuotaFull, Refused, SignInAgain, SlowDown, Unavailable
from chatkeep.providers import Gate
from chatkeep.providers.onedrive.graph import Answer, Call, problem
from chatkeep.providers.onedrive.uploads import Session
from fakes.given import Cloud

GRAPH = "graph.microsoft.com"


def body(code: str, *inner: str) -> bytes:
    error: dict[str, object] = {"code": code, "message": "secret words of a server"}
    at = error
    for number, name in enumerate(inner):
        below: dict[str, object] = {"code": name}
        at["innererror" if number % 2 else "innerError"] = below
        at = below
    return json.dumps({"error": error}).encode()


TABLE = [
    (400, ("invalidRequest",), Refused),
    (400, ("invalidRequest", "pathIsTooLong"), Refused),
    (401, ("InvalidAuthenticationToken",), SignInAgain),
    (403, ("accessDenied",), Refused),
    (403, ("accessDenied", "serviceReadOnly"), Unavailable),
    (403, ("quotaLimitReached",), QuotaFull),
    (404, ("itemNotFound",), NotFound),
    (409, ("resourceModified",), Unavailable),
    (412, ("resourceModified", "entityTagDoesNotMatch"), Unavailable),
    (423, ("notAllowed", "resourceLocked"), Refused),
    (423, (), Unavailable),
    (400, ("malwareDetected",), Refused),
    (500, ("generalException",), Unavailable),
    (502, (), Unavailable),
    (503, ("serviceNotAvailable",), Unavailable),
    (507, ("quotaLimitReached", "insufficientStorage"), QuotaFull),
    (507, (), QuotaFull),
    (418, ("somethingNew",), Unavailable),
]


@pytest.mark.parametrize(("status", "codes", "expected"), TABLE, ids=[f"{s}-{'-'.join(c)}" for s, c, _ in TABLE])
def test_every_answer_is_one_of_our_errors(
    cloud: Cloud, opening: Opening, status: int, codes: tuple[str, ...], expected: type[ChatkeepError]
) -> None:
    storage = opening(cloud)
    headers = {"Content-Type": "application/json"}
    cloud.faults.fail(rf"^PUT {GRAPH}", status, headers=headers, body=body(*codes) if codes else b"{}", times=2)
    with pytest.raises(expected) as raised:
        storage.put("name", b"x")
    assert type(raised.value) is expected
    assert "secret words" not in f"{raised.value} {raised.value.hint}"
    if expected in (Refused, QuotaFull, SignInAgain):
        assert not raised.value.temporary


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"Retry-After": "17"}, 17),
        (429, {}, 10),
        (503, {"Retry-After": "3"}, 3),
        (509, {}, 10),
        (429, {"Retry-After": "99999999"}, 3600),
        (429, {"Retry-After": "soon"}, 10),
    ],
)
def test_a_pause_closes_the_gate_of_the_account_for_everybody(
    cloud: Cloud, opening: Opening, status: int, headers: dict[str, str], wait: float
) -> None:
    gate = Gate(clock=lambda: 0.0, patience_s=1)
    one, other = opening(cloud, gate=gate), opening(cloud, gate=gate)
    cloud.faults.fail(f"^PUT {GRAPH}", status, headers=headers, body=body("activityLimitReached"))
    with pytest.raises(SlowDown) as raised:
        one.put("name", b"x")
    assert raised.value.wait_s == wait
    with cloud.journal.counted() as lines, pytest.raises(SlowDown):
        other.stat("name")
    assert lines == []


def test_an_error_that_is_deep_is_found_in_either_spelling() -> None:
    chain = {"error": {"code": "a", "innererror": {"code": "b", "innerError": {"code": "c", "date": "x"}}}}
    assert Answer(400, chain).codes == ["c", "b", "a"]
    assert Answer(400, {"error": "a text"}).codes == []
    assert isinstance(problem(Answer(404, {}), "x"), NotFound)


def test_a_folder_that_has_gone_is_never_taken_for_an_empty_one(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    storage.put("a", b"x")
    cloud.fake.remove("Apps/Chatkeep/Chatkeep")
    calls = (storage.listing, lambda: storage.get("b"), lambda: storage.stat("a"), lambda: storage.put("a", b"y"))
    for call in calls:
        with pytest.raises(Unavailable, match="not in your OneDrive any more") as raised:
            call()
        assert "recycle bin" in raised.value.hint
    with pytest.raises(Unavailable):
        opening(cloud, new=False)
    assert opening(cloud, new=True).listing() == []


def test_a_listing_raises_when_one_of_its_pages_fails(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    cloud.fake.page = 5
    storage.put_many({f"{folder}/{i:02d}": b"x" for folder in "ab" for i in range(11)})
    assert len(storage.listing()) == 22
    for status in (500, 404):  # a folder that goes between its pages is not half there
        cloud.faults.fail(r"skiptoken", status, headers={"Content-Type": "application/json"}, body=b"{}")
        with pytest.raises(Unavailable):
            storage.listing("a/")
    cloud.faults.fail(r"\$batch", 500)
    with pytest.raises(Unavailable):
        storage.listing()


def test_a_page_of_somebody_else_is_no_answer(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    cloud.faults.fail(GRAPH, 200, headers={"Content-Type": "text/html"}, body=b"<html>Welcome to the hotel</html>")
    with pytest.raises(Unavailable) as raised:
        storage.listing()
    assert "hotels" in raised.value.hint


@pytest.mark.parametrize("answer", [b"[]", b"null", b'{"value":7}', b"not json"])
def test_an_answer_that_makes_no_sense_is_no_empty_listing(cloud: Cloud, opening: Opening, answer: bytes) -> None:
    storage = opening(cloud)
    cloud.faults.fail("/children", 200, headers={"Content-Type": "application/json"}, body=answer)
    with pytest.raises(Unavailable):
        storage.listing()


def test_pages_that_lead_back_to_one_another_are_not_followed_for_ever(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    begun = storage.changes("")
    assert begun is not None
    with cloud.journal.counted() as lines:
        storage.listing()
        storage.changes(begun.cursor)
    for line, match in zip(lines, ("/children", "/delta"), strict=True):
        again = f"https://{GRAPH}{line.partition(GRAPH)[2]}"
        page = json.dumps({"value": [], "@odata.nextLink": again}).encode()
        cloud.faults.fail(match, 200, headers={"Content-Type": "application/json"}, body=page, times=99)
    with pytest.raises(Unavailable, match="come to an end"):
        storage.listing()
    with pytest.raises(Unavailable, match="come to an end"):
        storage.changes(begun.cursor)


def test_a_sign_in_that_ended_is_told_and_not_asked_for_again(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    storage.put("a", b"x")
    cloud.fake.consent.expire_access()
    assert storage.get("a") == b"x"
    cloud.fake.consent.revoke_all()
    with pytest.raises(SignInAgain):
        storage.stat("a")
    with cloud.journal.counted("token") as lines, pytest.raises(SignInAgain):
        storage.stat("a")
    assert lines == []


def test_no_address_that_gives_access_is_shown(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    storage.put("a", b"x")
    storage.get("a")
    shown = repr([storage, *vars(storage).values(), vars(storage._uploads)])
    assert cloud.tokens().access not in shown
    assert "EwB4" not in shown
    secret = "https://fake.up.1drv.com/up/of-somebody"
    assert secret not in repr(Answer(200, {"uploadUrl": secret}, {"location": secret}))
    assert secret not in repr(Session(secret, "0" * 64, 0.0))
    assert "private" not in repr(Call("PUT", "/me", b"private"))
