"""Tables of workers by key, which ask the key: a user's code, which may raise.

Senders read a table by subscript, which takes no lock of the dict. On 3.13t `dict.get` does:
senders wait for one another, in a mutex that spins with 40 calls of `sched_yield`. It also locks
the dict twice, and so waits for itself (15 to 90 µs), where a thread looks up a value that no
thread but the one that made it has looked up yet: so it is with the first message of each key, and
with a number or a time that another thread has just written. Such tables are read with `found`; or,
under a lock, with a look whether the key is there and a subscript.

**Assumes.** Both, `get` and a subscript, are atomic beside insertions and deletions
(`tests/test_assumptions.py`).
"""

from threadpool_mb.pool.incarnation import Incarnation

__all__ = ["Table", "find", "forget", "found", "take_out"]

type Table[K, M] = dict[K, Incarnation[K, M]]


def find[K, M](table: Table[K, M], key: K) -> Incarnation[K, M] | None:
    """Return the entry of a key, which may not be current; what the key raises passes."""
    try:
        return table[key]
    except KeyError:
        pass
    return table.get(key)  # raises, if the key's own methods did


def found[K, V](table: dict[K, V], key: K, otherwise: V) -> V:
    """Return what `table.get` does, of a key that raises nothing."""
    try:
        return table[key]
    except KeyError:
        return otherwise


def take_out[K, M](table: Table[K, M], key: K, incarnation: Incarnation[K, M] | None) -> bool:
    """Delete the key's entry if it is `incarnation`; what the key raises passes."""
    if incarnation is None or table.get(key) is not incarnation:
        return False
    # The key is asked once more, and may have put another worker there meanwhile.
    taken = table.pop(key, incarnation)
    if taken is not incarnation:
        table.setdefault(key, taken)
    return True


def forget[K, M](table: Table[K, M], key: K, incarnation: Incarnation[K, M] | None) -> bool:
    """Delete the key's entry if it is `incarnation`; one whose key raises stays.

    A key that raises now did not when it was entered. Its entry counts as none.
    """
    try:
        return take_out(table, key, incarnation)
    except Exception:  # noqa: BLE001 - a user's key
        return False
