"""What a run of pytest has done is counted, whatever becomes of it."""

from pathlib import Path

import pytest

from reliability.passes import Tally, hammer_functions, run_pytest, suite_parts

SECONDS = 300.0

pytestmark = pytest.mark.timeout(600)  # each starts an interpreter, on a machine that may be busy


def _tally_of(path: Path, text: str, *arguments: str, seconds: float = SECONDS) -> Tally:
    module = path / "test_sample.py"
    module.write_text(text)
    tally = Tally()
    run_pytest(tally, [*arguments, str(module)], seconds=seconds)
    return tally


def _figures(tally: Tally) -> dict[str, tuple[int, int, int]]:
    return {
        name.partition("::")[2]: (hammer.cases, hammer.runs, hammer.failures)
        for name, hammer in tally.hammers().items()
    }


def test_each_case_counts_and_each_of_its_repetitions(tmp_path: Path) -> None:
    tally = _tally_of(
        tmp_path,
        "import pytest\n"
        "@pytest.mark.parametrize('number', [1, 2])\n"
        "def test_both(number): pass\n"
        "def test_one(): pass\n",
        "--count=3",
    )

    assert _figures(tally) == {"test_both": (2, 6, 0), "test_one": (1, 3, 0)}
    assert tally.failures == []


def test_a_test_that_fails_is_kept_with_its_text(tmp_path: Path) -> None:
    tally = _tally_of(tmp_path, "def test_it(): assert 'left' == 'right'\n")

    assert _figures(tally) == {"test_it": (1, 1, 1)}
    assert len(tally.failures) == 1
    assert "'left' == 'right'" in tally.failures[0].text


def test_a_test_whose_teardown_fails_has_failed(tmp_path: Path) -> None:
    tally = _tally_of(
        tmp_path,
        "import pytest\n"
        "@pytest.fixture(autouse=True)\n"
        "def left_behind():\n"
        "    yield\n"
        "    raise ValueError('a thread is left')\n"
        "def test_it(): pass\n",
    )

    assert len(tally.failures) == 1
    assert "a thread is left" in tally.failures[0].text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os\ndef test_it(): os._exit(3)\n", "ended with 3"),
        ("import os, signal\ndef test_it(): os.kill(os.getpid(), signal.SIGSEGV)\n", "-11"),
        ("raise ValueError('not to be imported')\n", "not to be imported"),
        ("", "ended with 5"),
    ],
)
def test_a_process_that_comes_to_no_end_of_its_own_is_a_failure(
    tmp_path: Path, text: str, said: str
) -> None:
    tally = _tally_of(tmp_path, text)

    assert len(tally.failures) == 1
    assert said in tally.failures[0].text


def test_a_process_that_is_stuck_is_ended_and_a_failure(tmp_path: Path) -> None:
    text = "import threading\ndef test_it(): threading.Event().wait()\n"

    tally = _tally_of(tmp_path, text, seconds=1.0)

    assert [failure.test for failure in tally.failures] == ["the process"]
    assert "nothing within 1 s" in tally.failures[0].text


def test_several_runs_are_added_up(tmp_path: Path) -> None:
    tally = _tally_of(tmp_path, "def test_it(): pass\n", "--count=2")
    run_pytest(tally, ["--count=3", str(tmp_path / "test_sample.py")], seconds=SECONDS)

    assert _figures(tally) == {"test_it": (1, 5, 0)}


def test_the_hammers_are_all_tests_that_are_marked_racing() -> None:
    functions = hammer_functions()

    fan_in = "tests/racing/hammers/test_racing_fan_in.py"
    assert f"{fan_in}::test_no_graph_of_senders_stands_still_untold" in functions
    assert len(functions) == len(set(functions)) > 50
    assert not [name for name in functions if "[" in name]


def test_the_hammers_of_some_files_are_those_in_there() -> None:
    fan_in = "tests/racing/hammers/test_racing_fan_in.py"

    assert hammer_functions([fan_in]) == [f"{fan_in}::test_no_graph_of_senders_stands_still_untold"]


def test_the_parts_of_the_suite_are_all_that_pytest_runs() -> None:
    parts = suite_parts()

    assert ["tests/pool"] in parts
    assert "tests/test_layers.py" in parts[-1]
    assert not {"tests/browser", "tests/clients"} & {path for part in parts for path in part}
