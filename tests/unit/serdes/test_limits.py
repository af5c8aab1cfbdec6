"""Bounds: too long, too deep, too large once inflated; each stops early and says so."""

import base64
import json
import tracemalloc
import zlib

import pytest

from runplane.errors import DocumentError
from runplane.serdes.compression import compress, decompress, is_compressed
from runplane.serdes.json_text import parse, tree_text
from runplane.serdes.limits import Bounds, check_depth, inflate

SMALL = Bounds(text=1000, depth=5)


def test_a_bomb_stops_at_the_bound() -> None:
    # Given 40 MB of zeros in 40 kB
    bomb = base64.b64encode(zlib.compress(b"0" * 40_000_000)).decode()
    bounds = Bounds(text=1_000_000)

    # When it is inflated
    tracemalloc.start()
    with pytest.raises(DocumentError, match="too large once inflated"):
        decompress(bomb, bounds)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    # Then no more than the bound (and some slack for buffers) was ever held
    assert peak < 5_000_000


def test_a_document_of_exactly_the_bound_is_read() -> None:
    text = json.dumps("x" * (SMALL.text - 2))
    assert parse(text, SMALL) == json.loads(text)
    assert decompress(compress(text), SMALL) == text
    with pytest.raises(DocumentError, match="too large"):
        parse(text + " ", SMALL)
    with pytest.raises(DocumentError, match="too large once inflated"):
        inflate(zlib.compress(text.encode() + b" "), SMALL)


def test_a_long_compressed_text_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(DocumentError, match="compressed document is too large"):
        decompress("A" * 1001, SMALL)


@pytest.mark.parametrize(("depth", "fits"), [(5, True), (6, False)])
def test_depth(depth: int, fits: bool) -> None:
    text = "[" * depth + "1" + "]" * depth
    if fits:
        assert parse(text, SMALL) == json.loads(text)
    else:
        with pytest.raises(DocumentError, match="nested too deeply"):
            parse(text, SMALL)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_hundred_thousand_levels_are_an_error_and_not_a_crash(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    with pytest.raises(DocumentError, match="nested too deeply"):
        parse(opening * 100_000 + "1" + closing * 100_000)


def test_many_brackets_that_are_not_deep_are_fine() -> None:
    tree = [[i] for i in range(1000)]
    check_depth(tree, SMALL)
    assert parse(json.dumps(tree), Bounds(depth=3)) == tree


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("   ", "got nothing"),
        ("{", "not JSON"),
        ('{"a": 1} x', "Extra data"),
        ('{"a": 1, "b": 2, "a": 1}', "given twice in one object .got 'a'"),
        ("1" * 5000, "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_what_is_not_a_document(text: str, says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("eJw", "not base64"),
        ("é===", "not base64"),
        ("AAAA", "damaged"),
        (compress("{}" * 100)[:-12], "cut short|not base64|damaged"),
        (base64.b64encode(zlib.compress(b"{}") + b"more").decode(), "something follows"),
        (base64.b64encode(zlib.compress(b"\xff")).decode(), "not UTF-8"),
        ("", "cut short"),
    ],
)
def test_what_is_not_compressed(text: str, says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        decompress(text)


def test_line_ends_in_a_compressed_text_do_not_matter() -> None:
    text = compress(json.dumps(list(range(100))))
    wrapped = "\n".join(text[i : i + 20] for i in range(0, len(text), 20)) + "\r\n"
    assert json.loads(decompress(wrapped)) == list(range(100))


def test_plain_and_compressed_are_told_apart() -> None:
    assert is_compressed(compress("{}"))
    assert not is_compressed(' \n{"a": 1}')


def test_a_value_without_a_json_form() -> None:
    with pytest.raises(DocumentError, match="can not be written as JSON"):
        tree_text({"a": object()})
    with pytest.raises(DocumentError, match="can not be written as JSON"):
        tree_text({"a": 1, 2: 3})
