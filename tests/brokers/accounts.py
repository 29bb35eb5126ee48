"""What was handled, and whether that was in order: the same questions to all brokers."""

import threading
from collections import defaultdict
from typing import Final


class PowerCut(BaseException):
    """The end of a process."""


class Account:
    """Notes what is handled. `place` is where an entry stands in what its key has."""

    def __init__(self) -> None:
        self.handled: Final[list[tuple[str, int]]] = []
        """Key and place of all that was handled, in that order."""
        self.wrong: Final[list[str]] = []
        self._busy: Final = defaultdict[str, threading.Lock](threading.Lock)
        self._lock: Final = threading.Lock()

    def note(self, key: str, place: int) -> int:
        """Note that an entry is handled; return how many there are."""
        with self._lock:
            busy = self._busy[key]
        if not busy.acquire(blocking=False):
            self.wrong.append(f"two at once: {key}")
            return 0
        with self._lock:
            self.handled.append((key, place))
            count = len(self.handled)
        busy.release()
        return count

    def places(self) -> dict[str, list[int]]:
        """Return the places by key, in the order in which they were handled."""
        places = defaultdict[str, list[int]](list)
        for key, place in list(self.handled):
            places[key].append(place)
        return dict(places)

    def out_of_order(self) -> dict[str, list[int]]:
        """Return the keys that were not handled one after the other, each place once."""
        return {key: of for key, of in self.places().items() if of != sorted(set(of))}
