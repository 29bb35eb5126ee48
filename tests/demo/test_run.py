"""The job in a pool and on one thread."""

import threading
from pathlib import Path

import pytest

from tests.helpers import DEADLINE
from threadpool_mb.demo import run
from threadpool_mb.demo.run import Job, run_in_pool, run_on_one_thread, warm_up
from threadpool_mb.demo.tally import Function, Tally, find_sources, tally_file


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three packages of 12 files each, a module, a file that cannot be parsed, a broken link."""
    for name in "abc":
        (tmp_path / name).mkdir()
        for number in range(12):
            body = "    x\n" * number
            (tmp_path / name / f"m{number}.py").write_text(f"def f{number}():\n    x\n{body}")
    (tmp_path / "module.py").write_text("class C: pass\n")
    (tmp_path / "a" / "bad.py").write_text("def :\n")
    (tmp_path / "b" / "broken.py").symlink_to(tmp_path / "gone")
    return tmp_path


def job_of(tree: Path) -> Job:
    return Job.of(find_sources(tree).files)


def test_a_pool_counts_what_one_thread_counts(tree: Path) -> None:
    in_pool, alone = job_of(tree), job_of(tree)

    run_in_pool(in_pool)
    run_on_one_thread(alone)

    assert in_pool.tallies == alone.tallies
    assert in_pool.seen() == alone.seen() == 39


def test_files_that_cannot_be_read_stop_nothing(tree: Path) -> None:
    job = job_of(tree)

    run_in_pool(job)

    unread = {key: [item.path.name for item in job.tallies[key].unread] for key in job.tallies}
    assert unread == {"a": ["bad.py"], "b": ["broken.py"], "c": [], "module": []}
    assert job.tallies["a"].files == job.tallies["b"].files == 12
    assert job.tallies["b"].longest == Function(13, "f11")


def test_the_heaviest_package_comes_first(tmp_path: Path) -> None:
    for name, size in (("light", 10), ("heavy", 300), ("middle", 200)):
        (tmp_path / f"{name}.py").write_text("#" * size)

    assert list(job_of(tmp_path).packages) == ["heavy", "middle", "light"]


def test_each_package_is_tallied_on_one_thread_in_the_order_of_its_files(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, Path]] = []

    def note(path: Path) -> Tally:
        seen.append((threading.get_ident(), path))
        return tally_file(path)

    monkeypatch.setattr(run, "tally_file", note)
    job = job_of(tree)

    run_in_pool(job)

    for paths in job.packages.values():
        threads, order = zip(*(item for item in seen if item[1] in paths), strict=True)
        assert len(set(threads)) == 1
        assert list(order) == list(paths)


def test_as_many_packages_run_at_once_as_there_are_cores(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(3)
    last_files = {tree / name / "m0.py" for name in "abc"}

    def meet(path: Path) -> Tally:
        if path in last_files:
            together.wait(DEADLINE)
        return tally_file(path)

    monkeypatch.setattr(run, "tally_file", meet)
    monkeypatch.setattr(run, "cores", lambda: 3)
    job = job_of(tree)

    run_in_pool(job)

    assert not together.broken
    assert job.seen() == 39


def test_an_interrupt_cancels_the_workers_and_passes(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(run.Pool, "dispatch", interrupted)
    job = job_of(tree)

    with pytest.raises(KeyboardInterrupt):
        run_in_pool(job)

    assert job.seen() == 0


def test_the_warm_up_passes_over_what_cannot_be_read(tree: Path) -> None:
    job = job_of(tree)

    warm_up(job)

    assert job.seen() == 0
