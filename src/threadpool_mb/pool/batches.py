"""Many messages for one key: one look-up for all of them, as long as its worker takes them."""

from collections.abc import Callable, Iterable

from threadpool_mb.pool.incarnation import Incarnation

__all__ = ["deliver_many"]


def deliver_many[K, M](
    find: Callable[[K], Incarnation[K, M] | None],
    dispatch: Callable[[K, M], bool],
    key: K,
    messages: Iterable[M],
) -> int:
    """Deliver each message, and return how many were taken; see `Pool.dispatch_many`.

    The first one goes through `dispatch`, and so does each that a worker does not take directly:
    it looks the key up again, and says what becomes of the message.
    """
    taken = 0
    direct = None
    for message in messages:
        if direct is not None and not direct.closed:
            direct.put(message)
            if direct.unattended:
                direct.attend()
            taken += 1
            continue
        taken += dispatch(key, message)
        incarnation = find(key)
        direct = None if incarnation is None else incarnation.direct
    return taken
