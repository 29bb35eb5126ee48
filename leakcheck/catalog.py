"""All scenarios, by name."""

import inspect
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from leakcheck.scenarios.calls import calls
from leakcheck.scenarios.dead_letters import dead_letters
from leakcheck.scenarios.mailboxes import futures, mailboxes
from leakcheck.scenarios.media import media
from leakcheck.scenarios.original import original, original_functions
from leakcheck.scenarios.owners import brokers, executors, pools
from leakcheck.scenarios.workers import function_workers, generator_workers

type Scenario = Callable[[float], AbstractContextManager[Callable[[], object]]]
"""Takes a scale, and gives what does a round; its docstring is its description."""

SCENARIOS: Final[dict[str, Scenario]] = {
    scenario.__name__.replace("_", "-"): scenario
    for scenario in (
        original,
        original_functions,
        media,
        generator_workers,
        function_workers,
        mailboxes,
        futures,
        dead_letters,
        executors,
        brokers,
        pools,
        calls,
    )
}


def description(scenario: Scenario) -> str:
    """Return a scenario's docstring as one paragraph of plain text."""
    return re.sub(r"\s+", " ", inspect.getdoc(scenario) or "").replace("`", "")
