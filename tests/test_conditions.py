"""What a test waits for holds as a whole.

`seen and more` returns the list `seen` itself while that is empty. If it is filled before `until`
asks whether what was returned is true, `more` was never looked at.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent


def loose(text: str) -> Iterator[str]:
    """Yield the conditions whose first parts may come true after they were looked at."""
    for call in ast.walk(ast.parse(text)):
        if not isinstance(call, ast.Call) or ast.unparse(call.func) != "until":
            continue
        for each in ast.walk(call):
            if isinstance(each, ast.BoolOp) and isinstance(each.op, ast.And):
                for part in each.values[:-1]:
                    if not isinstance(part, (ast.Compare, ast.Call, ast.UnaryOp)):
                        yield ast.unparse(each)


def test_no_condition_begins_with_what_may_still_be_filled() -> None:
    found = {path.name: list(loose(path.read_text("utf-8"))) for path in TESTS.rglob("*.py")}

    assert {name: conditions for name, conditions in found.items() if conditions} == {}


def test_such_a_condition_is_found() -> None:
    text = (
        "until(lambda: not a or (seen and seen[0].done))\nuntil(lambda: len(seen) > 0 and seen[0])"
    )

    assert list(loose(text)) == ["seen and seen[0].done"]
