"""Tests of one's own workers: their turns in an order that a seed decides, and a clock to turn."""

from threadpool_mb.testing.exploring import ExploredFailure as ExploredFailure
from threadpool_mb.testing.order import Order as Order
from threadpool_mb.testing.order import Step as Step
from threadpool_mb.testing.seeded import SeededPool as SeededPool
from threadpool_mb.testing.strands import Stuck as Stuck

__all__ = ["ExploredFailure", "Order", "SeededPool", "Step", "Stuck"]
