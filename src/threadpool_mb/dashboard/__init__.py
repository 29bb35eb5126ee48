"""A page that shows pools while they run: `with serve(pool) as dashboard: print(dashboard.url)`."""

from threadpool_mb.dashboard.door import Dashboard as Dashboard
from threadpool_mb.dashboard.door import serve as serve
from threadpool_mb.dashboard.watching import Watched as Watched

__all__ = ["Dashboard", "Watched", "serve"]
