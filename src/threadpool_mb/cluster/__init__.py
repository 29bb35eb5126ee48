"""Keyed worker pools beyond one machine: the same workers, on Dask. Needs the extra `cluster`."""

from threadpool_mb.cluster.node import VersionMismatch as VersionMismatch
from threadpool_mb.cluster.pool import ClusterPool as ClusterPool
from threadpool_mb.cluster.refs import ClusterInput as ClusterInput
from threadpool_mb.cluster.telling import NodeLost as NodeLost

__all__ = ["ClusterInput", "ClusterPool", "NodeLost", "VersionMismatch"]
