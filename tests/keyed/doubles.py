"""What stands in for an executor's table where a test needs a future alone."""


class NoLanes:
    """No thread runs a task of any key."""

    threads = None
    in_child = False

    def runs_here(self, key: object, /) -> bool:
        """Say so."""
        return False
