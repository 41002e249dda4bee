"""The bytes of packs, trees, indexes and cuts: laws, and known answers that never change."""

from __future__ import annotations

import hashlib
import itertools
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vault.small_archive import document

from chatkeep.errors import Damaged, WrongUse
from chatkeep.vault import index as indexes
from chatkeep.vault.chunk import CUT_ABOVE, LONGEST, SHORTEST, cut
from chatkeep.vault.index import Columns, Index
from chatkeep.vault.objects import open_blob
from chatkeep.vault.pack import Pack, PackBuilder, PackedBlob, header_length, header_span, read_header
from chatkeep.vault.packing import compress
from chatkeep.vault.seal import MasterKey, Seal
from chatkeep.vault.sealed import seal_json, unseal_json
from chatkeep.vault.snapshot import SnapshotObject, format_time, from_object, parse_time
from chatkeep.vault.tree import TreeBuilder, check_node_name, file_node, folder_node, node_time, read_tree, tree_bytes

SEAL = Seal(MasterKey.from_bytes(bytes(range(64))))
SOME_ID = "ab" * 32
KNOWN_TREE = "e12abc500c3ea6d454b8f568d2fb855bd90c6a2c98008406571a332f73f7adcf"
KNOWN_CUTS = [
    36493,
    37854,
    50440,
    35040,
    37194,
    33852,
    33224,
    33507,
    36229,
    55042,
    42604,
    38014,
    36614,
    36338,
    33902,
    36708,
    33642,
    18349,
]


def packed(texts: list[bytes]) -> Pack:
    builder = PackBuilder("data")
    for text, frame in zip(texts, compress(texts), strict=True):
        builder.add(hashlib.sha256(text).digest(), SEAL.seal(frame), size=len(text))
    return builder.finish(SEAL)


# Packs


@given(st.lists(st.binary(min_size=1, max_size=2000), min_size=1, max_size=20))
def test_a_pack_can_be_read_from_its_bytes_alone(texts: list[bytes]) -> None:
    pack = packed(texts)
    assert pack.id == hashlib.sha256(pack.data).hexdigest()
    span = header_span(pack.data)
    assert read_header(SEAL, pack.data[-span:-4]) == pack.blobs
    assert len(pack.data) == sum(b.length for b in pack.blobs) + header_length(len(texts), len(texts))
    for blob, text in zip(pack.blobs, texts, strict=True):
        sealed = pack.data[blob.offset : blob.offset + blob.length]
        assert open_blob(SEAL, sealed, blob_id=blob.id, size=blob.size) == text


def test_a_header_of_uncompressed_blobs_is_read_too() -> None:
    header = bytes([1]) + (77).to_bytes(4, "little") + bytes(32) + bytes([0]) + (5).to_bytes(4, "little") + b"x" * 32
    assert read_header(SEAL, SEAL.seal(header)) == [
        PackedBlob(bytes(32), "tree", 0, 77, 0),
        PackedBlob(b"x" * 32, "data", 77, 5, 0),
    ]
    assert header_length(2, 0) == len(SEAL.seal(header)) + 4


@pytest.mark.parametrize("header", [b"\x07" + bytes(40), bytes(36), b"\x02" + bytes(39)])
def test_a_header_of_another_shape_is_damage(header: bytes) -> None:
    with pytest.raises(Damaged):
        read_header(SEAL, SEAL.seal(header))


def test_a_blob_under_another_name_is_damage() -> None:
    (frame,) = compress([b"text"])
    with pytest.raises(Damaged):
        open_blob(SEAL, SEAL.seal(frame), blob_id=bytes(32), size=4)
    with pytest.raises(Damaged):
        open_blob(SEAL, SEAL.seal(b"no frame"), blob_id=hashlib.sha256(b"text").digest(), size=4)


# The index


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(["data", "tree"]), st.binary(min_size=1, max_size=9)), max_size=9),
        max_size=5,
    )
)
def test_the_index_finds_every_blob_where_it_lies(packs: list[list[tuple[str, bytes]]]) -> None:
    index, expected, sizes = Index(), {}, {}
    for number, blobs in enumerate(packs):
        name = f"{number:064x}"
        listed, offset = [], 0
        for kind, text in blobs:
            blob_id = hashlib.sha256(text).digest()
            listed.append(PackedBlob(blob_id, kind, offset, len(text) + 40, len(text)))  # type: ignore[arg-type]
            expected[kind, blob_id] = (name, offset)
            offset += len(text) + 40
        sizes[name] = offset + header_length(len(blobs), len(blobs))
        value = indexes.to_index_object([Pack(name, b"", listed)])
        again = msgspec.json.decode(msgspec.json.encode(value), type=indexes.IndexObject)
        columns = msgspec.msgpack.decode(msgspec.msgpack.encode(indexes.columns_of(again)), type=Columns)
        index.add(columns)
    assert len(index) == len(expected)
    assert index.pack_sizes() == sizes
    for (kind, blob_id), (name, _) in expected.items():
        found = index.find(kind, blob_id)  # type: ignore[arg-type]
        assert found is not None
        in_this_pack = {(k, i, place.offset) for k, i, place in index.blobs_of(found.pack)}
        assert (kind, blob_id, found.offset) in in_this_pack
        assert name in index.pack_names()
    assert index.find("data", b"?" * 32) is None
    assert index.data_size(b"?" * 32) == -1


@pytest.mark.parametrize("blob_id", ["zz" * 32, "ab", ""])
def test_an_index_with_a_name_that_is_none_is_damage(blob_id: str) -> None:
    value = indexes.IndexObject([indexes.IndexedPack(SOME_ID, [indexes.IndexedBlob(blob_id, "data", 0, 1)])])
    with pytest.raises(Damaged):
        indexes.columns_of(value)


# Trees


def test_the_bytes_of_a_tree_never_change() -> None:
    nodes = [
        file_node("a.json", time="2024-05-01T10:00:00.5Z", size=12, content=[SOME_ID, "cd" * 32]),
        file_node("empty", time=node_time(""), size=0, content=[]),
        folder_node("f", SOME_ID),
    ]
    assert hashlib.sha256(tree_bytes(nodes)).hexdigest() == KNOWN_TREE
    assert [(n.name, n.type, n.content, n.subtree, n.size, n.mtime) for n in read_tree(tree_bytes(nodes))] == [
        ("a.json", "file", [SOME_ID, "cd" * 32], "", 12, "2024-05-01T10:00:00.5Z"),
        ("empty", "file", [], "", 0, "1970-01-01T00:00:00Z"),
        ("f", "dir", None, SOME_ID, 0, "1970-01-01T00:00:00Z"),
    ]
    assert json.loads(tree_bytes(nodes))["nodes"][2]["mode"] == 2147484096


def test_a_tree_that_restic_wrote_is_read() -> None:
    foreign = b'{"nodes":[{"name":"l\\\\u00e4","type":"symlink","mode":134218239,"linktarget":"x","content":null}]}\n'
    (node,) = read_tree(foreign)
    assert (node.type, node.content, node.subtree) == ("symlink", None, "")
    with pytest.raises(Damaged):
        read_tree(b'{"nodes":[{"name":1}]}')


@given(st.text(alphabet="abcxyz019._-", min_size=1, max_size=9))
def test_names_that_need_no_escaping_are_taken(name: str) -> None:
    if name[0] in ".-":
        with pytest.raises(WrongUse):
            check_node_name(name)
    else:
        check_node_name(name)
        assert read_tree(tree_bytes([folder_node(name, SOME_ID)]))[0].name == name


@pytest.mark.parametrize("name", ["", ".", "..", "A", "ä", 'a"', "a/b", "a b", "a\n", "x" * 201, ".hidden"])
def test_names_that_need_escaping_are_refused(name: str) -> None:
    with pytest.raises(WrongUse):
        check_node_name(name)


def test_folders_fan_out_in_levels_with_the_root_last() -> None:
    builder = TreeBuilder(lambda blob_id: False)
    leaves = {
        path: builder.add([file_node(f"{path}.json", time=node_time(""), size=0, content=[])])
        for path in ("a3f", "a30", "00c")
    }
    root = builder.add([folder_node("conversations", builder.fan_out(leaves))])
    trees = {blob_id.hex(): read_tree(data) for blob_id, data in builder.new}
    assert builder.new[-1][0].hex() == root
    assert builder.built == 3 + 2 + 2 + 1 + 1

    def paths(tree: str, above: str) -> list[str]:
        return [
            p
            for n in trees[tree]
            for p in (paths(n.subtree, f"{above}/{n.name}") if n.subtree else [f"{above}/{n.name}"])
        ]

    assert paths(root, "") == [f"/conversations/{p[0]}/{p[1]}/{p[2]}/{p}.json" for p in ("00c", "a30", "a3f")]


# Cuts


@given(st.binary(max_size=3000))
def test_what_is_short_is_one_piece(data: bytes) -> None:
    assert cut(data) == [data]


@pytest.mark.parametrize("messages", [450, 700, 3000])
def test_pieces_joined_are_the_document_and_end_where_messages_end(messages: int) -> None:
    _, data = document(3, messages=messages)
    pieces = cut(data)
    assert b"".join(pieces) == data
    assert len(pieces) > 1 or len(data) <= CUT_ABOVE
    assert all(SHORTEST <= len(piece) <= LONGEST for piece in pieces[:-1])
    assert all(piece.endswith(b"}") and after[:1] in b",]" for piece, after in itertools.pairwise(pieces))


def test_the_cuts_of_a_document_never_change() -> None:
    """Other cuts would store every long conversation once more, in every vault there is."""
    _, data = document(4, messages=2000)
    assert [len(piece) for piece in cut(data)] == KNOWN_CUTS


def test_a_message_more_leaves_all_but_the_last_pieces_as_they_were() -> None:
    _, data = document(5, messages=2000)
    whole = json.loads(data)
    whole["messages"].insert(700, {"id": "new", "parts": [{"text": "said in between", "type": "text"}]})
    whole["messages"].append({"id": "last", "parts": []})
    after = json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()
    kept = set(cut(data)) & set(cut(after))
    assert len(kept) >= len(cut(data)) - 3


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 1_300_000,
        b'{"messages":7,"x":"' + b"y" * 700_000 + b'"}',
        b'{"messages":[' + b'"' + b"z" * 1_700_000 + b'"' + b"]}",
        b'{"a":"\\"messages\\":[1,2]' + b"q" * 200_000 + b'","messages":[{"id":"1"}]}',
        b'{"messages":[]' + b" " * 600_000 + b"}",
    ],
)
def test_bytes_of_any_shape_are_cut_and_joined_again(data: bytes) -> None:
    pieces = cut(data)
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= LONGEST


# Sealed JSON and snapshots


def test_json_that_another_program_did_not_compress_is_read() -> None:
    data = SEAL.seal(b'{"packs":[]}')
    name = hashlib.sha256(data).hexdigest()
    assert unseal_json(SEAL, name, data, kind=indexes.IndexObject).packs == []
    for plain in (b"", b"\x01{}", b"\x02no frame", b"{half"):
        odd = SEAL.seal(plain)
        with pytest.raises(Damaged):
            unseal_json(SEAL, hashlib.sha256(odd).hexdigest(), odd, kind=indexes.IndexObject)


def test_an_object_under_another_name_is_damage() -> None:
    name, data = seal_json(SEAL, {"packs": []})
    assert unseal_json(SEAL, name, data, kind=indexes.IndexObject).packs == []
    with pytest.raises(Damaged):
        unseal_json(SEAL, SOME_ID, data, kind=indexes.IndexObject)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"),
        ("2024-05-01T10:00:00.123456789+02:00", "2024-05-01T08:00:00.123456Z"),
        ("2024-05-01T10:00:00.120Z", "2024-05-01T10:00:00.12Z"),
    ],
)
def test_times_of_go_are_read(text: str, expected: str) -> None:
    assert format_time(parse_time(text)) == expected


@pytest.mark.parametrize("change", [{"tree": "short"}, {"time": "yesterday"}])
def test_a_snapshot_without_tree_or_time_is_damage(change: dict[str, str]) -> None:
    fields = {"time": "2024-05-01T10:00:00Z", "tree": SOME_ID, "paths": ["/Chatkeep"], **change}
    with pytest.raises(Damaged):
        from_object(SOME_ID, msgspec.convert(fields, type=SnapshotObject))


@pytest.mark.parametrize(
    ("tags", "version", "paths", "foreign"),
    [
        (["chatkeep"], "", ["/Chatkeep"], False),
        (None, "chatkeep 0.1.0", ["/Chatkeep"], False),
        (None, "restic 0.19.1", ["/Chatkeep"], True),
        (["chatkeep"], "", ["/home/someone"], True),
        ([], "", None, True),
    ],
)
def test_only_what_we_made_is_ours(
    tags: list[str] | None, version: str, paths: list[str] | None, foreign: bool
) -> None:
    value = SnapshotObject(time="2024-05-01T10:00:00Z", tree=SOME_ID, paths=paths, tags=tags, program_version=version)
    assert from_object(SOME_ID, value).foreign == foreign
