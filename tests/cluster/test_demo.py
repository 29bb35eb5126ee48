"""The demo on a Dask cluster, with some of the standard library's files."""

import dataclasses
from typing import Any

import pytest
from distributed import Client

from tests.cluster.machines import Machines
from threadpool_mb.demo import on_cluster

FILES = 60


@pytest.fixture(autouse=True)
def _some_files(monkeypatch: pytest.MonkeyPatch) -> None:
    find = on_cluster.find_sources

    def find_some(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as there
        found = find(*arguments, **options)
        return dataclasses.replace(found, files=found.files[:FILES])

    monkeypatch.setattr(on_cluster, "find_sources", find_some)


def test_the_cluster_counts_what_one_thread_counts(
    client: Client, machines: Machines, capsys: pytest.CaptureFixture[str]
) -> None:
    del client

    assert on_cluster.main(["--scheduler", machines.address]) == 0

    printed = capsys.readouterr()
    assert f"{FILES}" in printed.out
    assert "Dask workers   2\n" in printed.out
    assert printed.out.endswith("the tallies of the cluster and of the one thread are the same\n")
    assert printed.err == ""


def test_it_fails_if_they_differ(
    client: Client,
    machines: Machines,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del client
    monkeypatch.setattr(on_cluster, "run_on_one_thread", lambda _: 1.0)  # it has counted nothing

    assert on_cluster.main(["--scheduler", machines.address]) == 1

    assert "the tallies of the cluster and of the one thread differ" in capsys.readouterr().err
