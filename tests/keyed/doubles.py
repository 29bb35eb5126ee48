"""What stands in for an executor's table where a test needs a future alone."""

from threadpool_mb.keyed.tally import Tally


class NoLanes:
    """No thread runs a task of any key."""

    threads = None
    in_child = False

    def __init__(self) -> None:
        self.tally = Tally()

    def runs_here(self, key: object, /) -> bool:
        """Say so."""
        return False
