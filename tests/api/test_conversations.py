"""Conversations over the API: pushed, listed in parts, read, searched, put away."""

from __future__ import annotations

import json
from typing import Any

from api.conftest import Program
from archive.talks import take, talk
from chatkeep.archive import Archive
from chatkeep.model import encode, identify, revision


def tea(*texts: str, **more: Any) -> Any:
    return talk("tea", texts or ("Which tea?", "Green tea."), **more)


def test_a_document_that_is_put_is_merged_and_answered_with_its_revision(archive: Archive, program: Program) -> None:
    first = program.put(f"conversations/{tea().id}", encode(tea()))
    again = program.put(f"conversations/{tea().id}", encode(tea()))
    more = program.put(f"conversations/{tea().id}", encode(tea("Which tea?", "Green tea.", "Thanks.")))
    assert (first.status_code, first.json()["outcome"]) == (201, "added")
    assert (again.status_code, again.json()["outcome"]) == (200, "unchanged")
    assert again.json()["revision"] == first.json()["revision"] == revision(encode(tea()))
    assert (more.json()["outcome"], more.json()["revision"]) == ("updated", archive.listed(tea().id).revision)
    assert archive.listed(tea().id).messages == 3


def test_something_emptier_does_not_take_the_place_of_something_fuller(archive: Archive, program: Program) -> None:
    program.push(tea("a", "b", "c"))
    answer = program.put(f"conversations/{tea().id}", encode(tea("a")))
    assert answer.json()["outcome"] == "unchanged"
    assert archive.listed(tea().id).messages == 3


def test_a_document_is_given_byte_for_byte_and_only_if_it_changed(archive: Archive, program: Program) -> None:
    take(archive, tea())
    answer = program.get(f"conversations/{tea().id}")
    assert answer.content == encode(tea())
    assert answer["ETag"] == f'"{revision(encode(tea()))}"'
    again = program.get(f"conversations/{tea().id}", headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    archive.edit(tea().id, "starred", True)
    assert program.get(f"conversations/{tea().id}", headers={"If-None-Match": answer["ETag"]}).status_code == 200


def test_a_batch_takes_each_item_whole_or_not_at_all(archive: Archive, program: Program) -> None:
    wrong = json.loads(encode(talk("wrong", ["x"]))) | {"messages": [{"id": "m", "parts": [{"type": "song"}]}]}
    items = [json.loads(encode(tea())), wrong, {"hello": 1}, json.loads(encode(talk("two", ["y"])))]
    answer = program.post("conversations", items).json()
    assert [item["problem"] and item["problem"]["status"] for item in answer["results"]] == [None, 422, 422, None]
    assert (answer["added"], answer["refused"]) == (2, 2)
    assert sorted(one.id for one in archive.listing()) == sorted([tea().id, talk("two").id])
    assert archive.receipt(answer["receipt"]).added == 2
    assert archive.receipt(answer["receipt"]).source == "pushed by the tests"


def test_a_batch_may_come_as_lines(archive: Archive, program: Program) -> None:
    body = encode(tea()) + b"\n\n" + encode(talk("two", ["y"])) + b"\n"
    answer = program.post("conversations", body, content_type="application/x-ndjson")
    assert answer.json()["added"] == 2


def test_native_conversations_go_through_the_importer_of_their_platform(archive: Archive, program: Program) -> None:
    native = {
        "id": "c0ffee",
        "conversation_id": "c0ffee",
        "title": "Tea",
        "create_time": 1717149600.5,
        "update_time": 1717149700.0,
        "current_node": "two",
        "mapping": {
            "one": {"id": "one", "message": None, "parent": None, "children": ["two"]},
            "two": {
                "id": "two",
                "parent": "one",
                "children": [],
                "message": {
                    "id": "two",
                    "author": {"role": "user"},
                    "create_time": 1717149600.5,
                    "content": {"content_type": "text", "parts": ["Which tea?"]},
                },
            },
        },
    }
    answer = program.post("conversations", [{"platform": "chatgpt", "native": native}]).json()
    assert (answer["added"], answer["refused"]) == (1, 0), answer
    [became] = answer["results"][0]["conversations"]
    assert (became["id"], archive.listed(became["id"]).platform) == (archive.listing()[0].id, "chatgpt")
    again = program.post("conversations", [{"platform": "chatgpt", "native": native}]).json()
    assert (again["unchanged"], again["receipt"]) == (1, "")
    unknown = program.post("conversations", [{"platform": "pigeon", "native": native}]).json()
    assert unknown["results"][0]["problem"]["status"] == 422


def test_what_was_deleted_here_stays_away_and_is_said_to_be_gone(archive: Archive, program: Program) -> None:
    program.push(tea())
    assert program.ask("DELETE", f"conversations/{tea().id}").status_code == 204
    assert program.get(f"conversations/{tea().id}").status_code == 404
    answer = program.put(f"conversations/{tea().id}", encode(tea()))
    assert (answer.status_code, answer.json()["outcome"], answer.json()["revision"]) == (200, "gone", "")


def test_the_list_is_read_in_parts_and_each_comes_once(archive: Archive, program: Program) -> None:
    take(archive, *(talk(f"talk {number}", ["hello"] * (number + 1)) for number in range(7)))
    page = program.get("conversations?limit=3").json()
    seen = [one["id"] for one in page["conversations"]]
    take(archive, talk("a new one", ["x"] * 20))
    while page["next"]:
        page = program.get(f"conversations?limit=3&cursor={page['next']}").json()
        seen += [one["id"] for one in page["conversations"]]
    assert sorted(seen) == sorted(talk(f"talk {number}").id for number in range(7))


def test_changes_are_followed_by_number(archive: Archive, program: Program) -> None:
    take(archive, tea(), talk("two", ["y"]))
    first = program.get("changes?limit=1").json()
    assert [one["id"] for one in first["changes"]] == [tea().id]
    rest = program.get(f"changes?since={first['next']}").json()
    assert [one["id"] for one in rest["changes"]] == [talk("two").id]
    assert program.get(f"changes?since={rest['next']}").json() == {"changes": [], "next": rest["next"]}
    archive.delete([tea().id])
    assert program.get(f"changes?since={rest['next']}").json()["changes"][0]["revision"] == ""


def test_conditions_narrow_the_list_and_a_mistyped_one_is_refused(archive: Archive, program: Program) -> None:
    take(archive, tea(), talk("two", ["y"], platform="claude"))
    assert [one["id"] for one in program.get("conversations?platform=claude").json()["conversations"]] == [
        talk("two").id
    ]
    assert program.get("conversations?q=green").json()["conversations"][0]["id"] == tea().id
    wrong = program.get("conversations?platfrom=claude")
    assert wrong.status_code == 422
    assert "platfrom" in wrong.json()["detail"]


def test_messages_are_read_in_windows(archive: Archive, program: Program) -> None:
    take(archive, talk("long", [f"text {number}" for number in range(20)]))
    answer = program.get(f"conversations/{talk('long').id}/messages?start=5&limit=3").json()
    assert (len(answer["messages"]), answer["start"], answer["total"]) == (3, 5, 20)
    assert program.get(f"conversations/{talk('long').id}/messages?leaf=nobody").status_code == 404


def test_words_are_found_with_what_stands_around_them(archive: Archive, program: Program) -> None:
    take(archive, tea())
    found = program.get("search?q=green").json()
    assert found["total"] == 1
    assert {"text": "Green", "match": True} in found["hits"][0]["snippet"]


def test_people_change_title_labels_and_star_and_the_trash(archive: Archive, program: Program) -> None:
    take(archive, tea())
    edited = program.ask(
        "PATCH", f"conversations/{tea().id}", {"title": "Cups", "labels": ["kitchen"], "starred": True}
    )
    assert [edited.json()[name] for name in ("title", "labels", "starred")] == ["Cups", ["kitchen"], True]
    assert program.ask("PATCH", f"conversations/{tea().id}", {"title": None}).json()["title"] == "About tea"
    assert program.put(f"conversations/{tea().id}/trash").json()["trashed"] is True
    assert program.get("conversations").json()["conversations"] == []
    assert len(program.get("conversations?trashed=true").json()["conversations"]) == 1
    assert program.ask("DELETE", f"conversations/{tea().id}/trash").json()["trashed"] is False


def test_a_document_under_another_address_or_that_is_none_is_refused(archive: Archive, program: Program) -> None:
    other = identify("somebody", "else")
    assert program.put(f"conversations/{other}", encode(tea())).status_code == 409
    assert program.put(f"conversations/{tea().id}", b"[1, 2").status_code == 422
    document = json.loads(encode(tea()))
    for change in (
        {"id": "not-a-uuid"},
        {"platform": "Chat GPT"},
        {"format": 2},
        {"created_at": "yesterday"},
        {"created_at": "2023-02-29T10:00:00Z"},
        {"unknown": {"big": 2**53}},
        {"title": "a\0b"},
        {"messages": [{"id": "m", "parts": [{"type": "text", "sha256": "nonsense"}]}]},
        {"messages": [{"id": "m", "order": -1}]},
        {"user": {"title": {"stamp": [2**60, "x"], "value": "x"}}},
        {"title": 5},
    ):
        answer = program.put(f"conversations/{tea().id}", document | change)
        assert answer.status_code == 422, change
    assert archive.count() == 0


def test_fractions_are_kept_as_their_text(archive: Archive, program: Program) -> None:
    document = encode(tea()).replace(b'"title"', b'"unknown":{"a":[1.50,-3.0,1e400]},"title"')
    assert program.put(f"conversations/{tea().id}", document).status_code == 201
    assert archive.load(tea().id).unknown == {"a": [{"$number": "1.50"}, -3, {"$number": "1e400"}]}


def test_what_is_nested_too_deep_is_refused_before_it_is_read(archive: Archive, program: Program) -> None:
    deep = b'{"format":1,"unknown":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}"
    assert program.put(f"conversations/{tea().id}", deep).status_code == 422
    assert program.post("conversations", b"[" * 100_000).status_code == 422


def test_attachments_come_by_their_hash_and_are_wanted_until_they_do(archive: Archive, program: Program) -> None:
    import hashlib

    data = b"a picture"
    sha256 = hashlib.sha256(data).hexdigest()
    document = json.loads(encode(tea()))
    document["messages"][0]["parts"].append({"type": "attachment", "sha256": sha256, "name": "cup.png"})
    answer = program.put(f"conversations/{tea().id}", document).json()
    assert answer["wanted"] == [sha256]
    assert program.get(f"attachments/{sha256}").status_code == 404
    octets = "application/octet-stream"
    assert program.put(f"attachments/{sha256}", b"another", content_type=octets).status_code == 409
    assert program.put(f"attachments/{sha256}", data, content_type=octets).json() == {"sha256": sha256, "size": 9}
    assert program.put(f"conversations/{tea().id}", document).json()["wanted"] == []
    got = program.get(f"attachments/{sha256}")
    assert b"".join(got.streaming_content) == data  # type: ignore[attr-defined]
    assert got["Content-Type"] == octets
    assert got["Content-Disposition"].startswith("attachment")
