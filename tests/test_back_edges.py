"""The ends of loops within `with` and `try`, where an interrupt would pass both.

CPython makes two instructions of a jump back to the begin of a loop that depends on a condition.
The second one, at which signal handlers run, has no entry in the table of handlers (gh-108214). An
interrupt there passes the `with` or the `try` around the loop, and a lock stays held for ever.
"""

import _thread
import dis
import itertools
import pathlib
import threading
import types
from collections.abc import Iterator
from typing import Any, Final

import pytest

import threadpool_mb
from threadpool_mb.interrupts import is_owned

_PACKAGE: Final = pathlib.Path(threadpool_mb.__file__).parent


def code_objects(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_objects(constant)


def handlers(code: Any, offset: int) -> set[int]:  # noqa: ANN401 - a `Bytecode`: typeshed lacks its entries
    """Return where the handlers of an instruction begin, the inner and the outer ones."""
    todo, around = [offset], set[int]()
    while todo:
        at = todo.pop()
        of_it: set[int] = {
            each.target for each in code.exception_entries if each.start <= at < each.end
        }
        todo += of_it - around
        around |= of_it
    return around


def bare_ends(source: str, *, of_try: bool = False) -> set[str]:
    """Return the names of functions with a loop whose begin is in a `with`, but not its end.

    `of_try`: in a `try`.
    """
    found = set[str]()
    for code in code_objects(compile(source, "<source>", "exec")):
        bytecode = dis.Bytecode(code)
        instructions = list(bytecode)
        of_with = {
            first.offset
            for first, second in itertools.pairwise(instructions)
            if first.opname == "PUSH_EXC_INFO"
            and (second.opname == "WITH_EXCEPT_START") is not of_try
        }
        for each in instructions:
            if each.opname == "JUMP_BACKWARD":
                passed = handlers(bytecode, each.argval) - handlers(bytecode, each.offset)
                if passed & of_with:
                    found.add(code.co_name)
    return found


LOOPS: Final = {
    "if": "for each in items:\n   if each: len('')",
    "continue": "for each in items:\n   if each: continue\n   len('')",
    "comprehension": "[each for each in items if each]",
    "no condition": "for each in items: len('')",
    "no condition comes last": "for each in items:\n   if each: len('')\n   last = each",
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
def test_an_interrupt_at_the_end_of_a_loop_leaves_a_lock_held_if_the_end_is_bare(loop: str) -> None:
    """Why no such loop may stand in the `with` of a lock."""
    source = f"def act(lock, items):\n with lock:\n  {loop}\n"
    namespace: dict[str, types.FunctionType] = {}
    exec(source, namespace)  # noqa: S102 - the loops above
    held = False

    for number in range(4):
        lock = threading.RLock()
        # It becomes due in the instruction that asks for the next item: handled at the loop's end.
        due = itertools.starmap(_thread.interrupt_main, [()])
        items = itertools.chain([0, 1][:number], due, [0, 1])
        with pytest.raises(KeyboardInterrupt):
            namespace["act"](lock, items)
        held = held or is_owned(lock)

    assert held == bool(bare_ends(source))


# Without a lock: errors that are suppressed, and waits that end before the program goes on.
NO_LOCK: Final = {
    "mailbox/receiving.py": {"_take_more"},
    "pool/inputs.py": {"_put_with_patience"},
    "threads/waiting.py": {"wait"},
}
# A program, which an interrupt ends.
LEFT_OUT: Final = frozenset({"demo"})
PARTS: Final = [
    each
    for each in sorted(_PACKAGE.iterdir())
    if each.suffix in {"", ".py"} and each.name not in {*LEFT_OUT, "__pycache__"}
]


@pytest.mark.parametrize("part", PARTS, ids=[each.name for each in PARTS])
def test_no_loop_within_a_with_has_a_bare_end(part: pathlib.Path) -> None:
    found: dict[str, set[str]] = {}
    for path in [part] if part.suffix == ".py" else part.rglob("*.py"):
        name = path.relative_to(_PACKAGE).as_posix()
        if functions := bare_ends(path.read_text()) - NO_LOCK.get(name, set()):
            found[name] = functions

    assert found == {}


@pytest.mark.parametrize("name", ["aio/life.py", "keyed/standard.py", "line/standing.py"])
def test_no_loop_within_a_try_has_a_bare_end_where_an_interrupt_would_cost_what_it_does(
    name: str,
) -> None:
    assert not bare_ends((_PACKAGE / name).read_text(), of_try=True)
