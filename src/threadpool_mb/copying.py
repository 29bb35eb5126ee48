"""What cannot be copied: what owns threads, or is told of, or answers for, something once."""

from typing import NoReturn, SupportsIndex

__all__ = ["Uncopied"]


class Uncopied:
    """Refuses `copy.copy`, `copy.deepcopy` and `pickle`, which all ask `__reduce_ex__`.

    A copy would share the original's insides and have its finalizer: dropping it would close the
    original's threads, or answer a call that the original is to answer.
    """

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """Refuse.

        Raises:
            TypeError: always.
        """
        # Not its `repr`: it may take time, or a lock.
        raise TypeError(f"cannot copy or pickle a {type(self).__name__}: pass it by reference")
