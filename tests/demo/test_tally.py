"""One file's tally: what is counted, what is a block, what becomes of files that are no Python."""

import os
from pathlib import Path

import pytest

from threadpool_mb.demo.tally import Function, Tally, tally_file


def tally_of(tmp_path: Path, source: str | bytes) -> Tally:
    path = tmp_path / "module.py"
    path.write_bytes(source.encode() if isinstance(source, str) else source)
    return tally_file(path)


def test_an_empty_file_is_a_file_without_lines(tmp_path: Path) -> None:
    assert tally_of(tmp_path, "") == Tally(files=1)


def test_empty_lines_and_all_kinds_of_line_ends_are_counted(tmp_path: Path) -> None:
    tally = tally_of(tmp_path, b"a = 1\r\n\nb = 2\rc = 3")

    assert tally.lines == 4


def test_methods_nested_and_async_functions_are_functions_and_lambdas_are_not(
    tmp_path: Path,
) -> None:
    tally = tally_of(
        tmp_path,
        """
class Outer:
    class Inner:
        async def method(self):
            def nested():
                return lambda: 1
            return nested
""",
    )

    assert (tally.functions, tally.classes) == (2, 2)
    assert tally.longest == Function(lines=4, name="Outer.Inner.method")


def test_decorators_are_not_part_of_a_functions_lines(tmp_path: Path) -> None:
    tally = tally_of(tmp_path, "@one\n@two(\n    3,\n)\ndef f():\n    pass\n")

    assert tally.longest == Function(lines=2, name="f")


def test_the_longest_function_may_stand_in_any_part_of_a_statement(tmp_path: Path) -> None:
    tally = tally_of(
        tmp_path,
        """
def short(): pass
try:
    def a(): pass
except* ValueError:
    match x:
        case 1:
            for y in z:
                pass
            else:
                def longest():
                    one
                    two
finally:
    def b(): pass
""",
    )

    assert tally.functions == 4
    assert tally.longest == Function(lines=3, name="longest")


def test_of_two_longest_functions_the_one_added_first_is_kept() -> None:
    first, second = Function(5, "first"), Function(5, "second")
    tally = Tally(longest=first)

    tally.add(Tally(longest=second))

    assert tally.longest is first


@pytest.mark.parametrize(
    ("source", "nesting"),
    [
        ("x = [[[1]]]", 0),
        ("def f(): return (lambda: [y for y in z])", 1),
        ("async def f():\n async for x in y:\n  async with z: pass", 3),
        ("if a:\n while b: pass", 2),
        ("if a: pass\nelif b: pass\nelif c: pass\nelse: pass", 1),
        ("if a: pass\nelif b:\n  if c: pass", 2),
        ("if a: pass\nelse:\n if b: pass", 2),
        ("for a in b: pass\nelse:\n if c: pass", 2),
        ("try: pass\nexcept E: pass\nelse: pass\nfinally: pass", 1),
        ("try: pass\nexcept E:\n with a: pass", 2),
        ("match a:\n case 1: pass", 1),
        ("match a:\n case 1:\n  class C: pass", 2),
    ],
)
def test_nesting_is_the_number_of_blocks_around_a_statement(
    tmp_path: Path, source: str, nesting: int
) -> None:
    assert tally_of(tmp_path, source).nesting == nesting


def test_the_encoding_that_a_file_declares_is_used(tmp_path: Path) -> None:
    tally = tally_of(tmp_path, "# coding: latin-1\ndef grün(): pass\n".encode("latin-1"))

    assert tally.longest == Function(lines=1, name="grün")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"x = 1\ndef :\n", "invalid syntax (line 2)"),
        (b"# coding: no-such-encoding\n", "unknown encoding"),
        (b"x = '\xff'\n", "ff"),
        (b"x = 1\0\n", "null bytes"),
        (b"(" * 1000 + b")" * 1000, "too many nested parentheses"),
        (b"-" * 100_000 + b"1\n", "Error"),
    ],
    ids=["syntax", "encoding", "bytes", "null", "parentheses", "recursion"],
)
def test_a_file_that_cannot_be_parsed_is_unread_with_the_reason_in_one_line(
    tmp_path: Path, source: bytes, reason: str
) -> None:
    tally = tally_of(tmp_path, source)

    (unread,) = tally.unread
    assert unread.path == tmp_path / "module.py"
    assert reason in unread.reason
    assert "\n" not in unread.reason
    assert tally == Tally(unread=[unread])


def test_a_file_that_is_not_there_is_unread(tmp_path: Path) -> None:
    (unread,) = tally_file(tmp_path / "gone.py").unread

    assert unread.reason == "No such file or directory"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")

    (unread,) = tally_file(tmp_path / "pipe.py").unread

    assert unread.reason == "not a regular file"


def test_a_source_is_not_too_deep_to_be_walked(tmp_path: Path) -> None:
    depth = 90  # the parser refuses 100 levels of indentation
    source = "".join(f"{' ' * level}if a:\n" for level in range(depth)) + " " * depth + "pass"

    assert tally_of(tmp_path, source).nesting == depth


def test_adding_sums_what_is_summed_and_keeps_the_greatest_of_the_rest(tmp_path: Path) -> None:
    unread = tally_file(tmp_path / "gone.py").unread
    tally = Tally(1, 10, 3, 2, 4, Function(9, "a"), [])

    tally.add(Tally(2, 20, 1, 1, 3, Function(12, "b"), unread))

    assert tally == Tally(3, 30, 4, 3, 4, Function(12, "b"), unread)
    assert tally.seen == 4
