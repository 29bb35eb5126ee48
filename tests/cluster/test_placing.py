"""Where keys live."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import pickle
import subprocess
import sys
import threading

import pytest

from threadpool_mb.cluster.placing import digest_of, owner_of


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Name(enum.StrEnum):
    ALICE = "alice"


@dataclasses.dataclass(frozen=True)
class Place:
    city: str
    street: tuple[str, int]
    note: str = dataclasses.field(default="", compare=False)


KEYS = [
    "",
    "a",
    "ä\udc80",
    b"a",
    0,
    1,
    -(10**30),
    1.5,
    float("inf"),
    None,
    (),
    ("a", 1),
    (("a",), 1),
    ("a", ("1",)),
    frozenset({1, 2}),
    frozenset({(1, 2)}),
    Colour.RED,
    Colour.GREEN,
    Place("a", ("b", 1)),
    Place("a", ("b", 2)),
    dt.date(2026, 1, 1),
]


def test_different_keys_have_different_digests() -> None:
    assert len({digest_of(key) for key in KEYS}) == len(KEYS)


@pytest.mark.parametrize(
    ("key", "equal"),
    [
        (1, True),
        (0, False),
        (2, 2.0),
        (Name.ALICE, "alice"),
        (("a", 1), ("a", True)),
        (frozenset({3, 11, 19}), frozenset({19, 3, 11})),
        (Place("a", ("b", 1), note="x"), Place("a", ("b", 1))),
        (0.0, -0.0),
    ],
)
def test_equal_keys_have_the_same_digest(key: object, equal: object) -> None:
    assert key == equal

    assert digest_of(key) == digest_of(equal)


def test_a_key_that_is_not_a_number_has_one_digest() -> None:
    keys = [float("nan"), -float("nan"), decimal.Decimal("nan")]

    assert len({digest_of(key) for key in keys}) == 1


def test_a_key_that_holds_one_object_twice_has_the_digest_of_one_that_holds_two() -> None:
    # Not interned: a pickle of the first one refers back, and one of the second does not.
    part, another = (str(number) for number in (1234, 1234))
    assert pickle.dumps((part, part)) != pickle.dumps((part, another))

    assert digest_of((part, part)) == digest_of((part, another))


def test_a_key_has_the_same_digest_in_another_process() -> None:
    program = (
        "from threadpool_mb.cluster.placing import digest_of;"
        "print(digest_of(('a', 1, frozenset({'x', 'y'}))).hex())"
    )

    other = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert other.stdout.strip() == digest_of(("a", 1, frozenset({"y", "x"}))).hex()


def test_what_cannot_be_pickled_raises_what_pickling_raises() -> None:
    with pytest.raises(TypeError, match=r"cannot pickle.*lock"):
        digest_of(("a", threading.Lock()))


NODES = [f"tcp://10.0.0.{number}:4000" for number in range(5)]
DIGESTS = [digest_of(number) for number in range(5000)]


def test_keys_are_dealt_evenly() -> None:
    counts = collections.Counter(owner_of(digest, NODES) for digest in DIGESTS)

    assert all(850 < counts[node] < 1150 for node in NODES)


def test_a_node_that_joins_takes_its_share_and_nothing_else_moves() -> None:
    before = [owner_of(digest, NODES[:4]) for digest in DIGESTS]
    after = [owner_of(digest, NODES) for digest in DIGESTS]

    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]

    assert {new for _, new in moved} == {NODES[4]}
    assert {old for old, _ in moved} == set(NODES[:4])
    assert 850 < len(moved) < 1150


def test_a_node_that_leaves_gives_its_keys_to_all_others_and_nothing_else_moves() -> None:
    before = [owner_of(digest, NODES) for digest in DIGESTS]
    after = [owner_of(digest, NODES[1:]) for digest in DIGESTS]

    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]

    assert {old for old, _ in moved} == {NODES[0]}
    assert {new for _, new in moved} == set(NODES[1:])


def test_the_order_of_the_nodes_does_not_matter() -> None:
    assert [owner_of(digest, NODES) for digest in DIGESTS] == [
        owner_of(digest, NODES[::-1]) for digest in DIGESTS
    ]


@pytest.mark.parametrize("number", [0, 1, -3, 0.5, 2**80, float("inf")])
def test_numbers_that_are_equal_have_one_digest_of_whatever_type(number: float) -> None:
    equal = [number, float(number), complex(number), decimal.Decimal(number)]
    if number != float("inf"):
        equal.append(fractions.Fraction(number))

    assert set(equal) == {number}
    assert len({digest_of(each) for each in equal}) == 1
    assert digest_of(decimal.Decimal("2.50")) == digest_of(decimal.Decimal("2.5")) == digest_of(2.5)
