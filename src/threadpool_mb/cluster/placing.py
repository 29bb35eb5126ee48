"""Where keys live: by rendezvous hashing of a digest of the key, which any process computes alike.

Each node has a score for a key, a hash of both; the key is dealt to the node of the highest score.
So a node that joins takes from each other node its share, and nothing else moves; one that leaves
gives its keys to all the others, and nothing else moves.

**Guarantees.** Equal keys have the same digest, in every process, if they are made of `str`,
`bytes`, numbers, `bool`, `None`, enumerations, tuples, frozensets and frozen dataclasses. Any other
key has the digest of its pickle: two such keys that are equal must pickle alike. (Python's own
`hash` is salted: it differs between processes.)
"""

import dataclasses
import enum
import hashlib
import math
import pickle
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

__all__ = ["digest_of", "owner_of"]

_DIGEST: Final = 16
"""Bytes of a key's digest."""
_SCORE: Final = 8
"""Bytes of a score."""
_NUMBERS: Final = frozenset({complex, Decimal, Fraction})


def digest_of(key: object, dumps: Callable[[object], bytes] = pickle.dumps) -> bytes:
    """Return a digest of a key; `dumps` is for what is made of none of the types above.

    Raises:
        Exception: what `dumps` raises.
    """
    parts: list[bytes] = []
    _write(key, parts, dumps)
    return hashlib.blake2b(b"".join(parts), digest_size=_DIGEST).digest()


def owner_of(digest: bytes, nodes: Sequence[str]) -> str:
    """Return the node of the highest score for a key; of equal scores, the greater name.

    Raises:
        ValueError: if there is no node.
    """
    return max((_score(digest, node), node) for node in nodes)[1]


def _score(digest: bytes, node: str) -> bytes:
    return hashlib.blake2b(digest + node.encode(), digest_size=_SCORE).digest()


def _write(key: object, parts: list[bytes], dumps: Callable[[object], bytes]) -> None:
    """Write a key so that equal keys are written alike, and others differently."""
    items: Any = key
    plain = _plain(key)
    if plain is not None:
        _frame(plain[0], plain[1], parts)
    elif isinstance(key, tuple) and _compares_as(items, tuple):
        _write_all(b"t", items, parts, dumps)
    elif isinstance(key, frozenset):
        written: list[bytes] = []
        for item in items:
            inner: list[bytes] = []
            _write(item, inner, dumps)
            written.append(b"".join(inner))
        _frame(b"S", b"".join(sorted(written)), parts)
    elif (fields := _compared(items)) is not None:
        _frame(b"d", _name(items), parts)
        _write_all(b"t", fields, parts, dumps)
    else:
        _frame(b"p", dumps(items), parts)


def _compares_as(key: object, kind: type) -> bool:
    """Return whether a subclass compares as its base does."""
    compares: object = kind.__eq__
    return type(key).__eq__ is compares


def _write_all(
    kind: bytes, items: Sequence[Any], parts: list[bytes], dumps: Callable[[object], bytes]
) -> None:
    _frame(kind, b"%d" % len(items), parts)
    for item in items:
        _write(item, parts, dumps)


def _frame(kind: bytes, content: bytes, parts: list[bytes]) -> None:
    parts.append(b"%b%d:" % (kind, len(content)))
    parts.append(content)


def _plain(key: object) -> tuple[bytes, bytes] | None:  # noqa: PLR0911 - one for each type
    """Return the kind and the content of a key that has no parts; `None` for any other.

    A subclass counts as its base where it compares as that: `StrEnum.A == "a"`.
    """
    if isinstance(key, str) and _compares_as(key, str):
        return b"s", key.encode("utf-8", "surrogatepass")
    if isinstance(key, int) and _compares_as(key, int):
        return b"i", b"%d" % key  # `True == 1`
    if isinstance(key, float) and _compares_as(key, float):
        if key.is_integer():
            return b"i", b"%d" % int(key)  # `1.0 == 1`
        return _number(key)
    if type(key) in _NUMBERS:
        return _number(key)
    if isinstance(key, bytes) and _compares_as(key, bytes):
        return b"b", key
    if key is None:
        return b"n", b""
    if isinstance(key, enum.Enum):
        return b"e", _name(key) + b"." + key.name.encode()
    return None


def _number(key: Any) -> tuple[bytes, bytes]:
    """Return the same for numbers that are equal, of whatever type: `Decimal("0.5") == 0.5`."""
    if key != key:  # noqa: PLR0124 - it is not a number
        return b"f", b"nan"
    # Of numbers it is not salted. So that `int`, which is common, need not be hashed:
    whole = int(key.real) if math.isfinite(key.real) else 0
    return (b"i", b"%d" % whole) if whole == key else (b"f", b"%d" % hash(key))


def _name(key: object) -> bytes:
    kind = type(key)
    return f"{kind.__module__}.{kind.__qualname__}".encode()


def _compared(key: object) -> list[Any] | None:
    """Return the values by which a frozen dataclass compares; `None` for anything else."""
    params: Any = getattr(type(key), "__dataclass_params__", None)
    if params is None or not (params.frozen and params.eq):
        return None
    fields = dataclasses.fields(key)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - it is one
    return [getattr(key, field.name) for field in fields if field.compare]
