"""Configs are values: frozen, hashable, ordered, comparable, and checked where they are written."""

import copy
import dataclasses
import math
import operator
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import threadpool_mb as mb


class Ours:
    """A user's own kind."""

    limit = None

    def create(self, **options: object) -> None:
        """Create no mailbox."""

    def __repr__(self) -> str:
        return "ours"


BAD_LIMITS = [True, False, 0, -1, 2.5, 1.0, "3", None, [1], math.inf]
BAD_TIMEOUTS = [-1, -0.5, -math.inf, math.nan, True, False, "1", [1]]

limits = st.integers(min_value=1)
timeouts = st.none() | st.floats(0, 1e6) | st.integers(0, 10**6)
kinds = {
    "Unlimited": st.builds(mb.Unlimited),
    "Blocking": st.builds(mb.Blocking, limits),
    "NonBlocking": st.builds(mb.NonBlocking, limits),
    "Waiting": st.builds(mb.Waiting, limits, deliver_timeout=timeouts, receive_timeout=timeouts),
    "Sliding": st.builds(mb.Sliding, limits),
    "CatchAll": st.builds(mb.CatchAll, st.builds(mb.Blocking, limits)),
}
one_of_each = [
    mb.Unlimited(),
    mb.Blocking(3),
    mb.NonBlocking(3),
    mb.Waiting(3, deliver_timeout=1.5, receive_timeout=None),
    mb.Sliding(3),
    mb.Prioritized(mb.Blocking(3), operator.neg),
    mb.CatchAll(mb.Blocking(3)),
]
EACH = pytest.mark.parametrize("config", one_of_each, ids=repr)


@st.composite
def three_of_a_kind(draw: st.DrawFn) -> tuple[mb.MailboxConfig, ...]:
    kind = kinds[draw(st.sampled_from(sorted(kinds)))]
    few = draw(st.lists(kind, min_size=1, max_size=3))
    return tuple(draw(st.sampled_from(few)) for _ in range(3))


@pytest.mark.behaviour(
    "LimitedMessageBoxTest 28",
    "LimitedMessageBoxTest 29",
    "LimitedMessageBoxTest 30",
    "LimitedMessageBoxTest 31",
    "CatchAllTest 1",
)
@given(three_of_a_kind())
def test_configs_of_a_kind_obey_the_laws_of_equality_and_order(configs: tuple) -> None:
    x, y, z = configs

    assert (x == y) == (y == x) == (x <= y <= x)
    assert (x != y) is not (x == y)
    assert [x < y, x == y, x > y].count(True) == 1
    assert (x < y) == (y > x) == (not y <= x)
    assert (x >= y) == (not x < y)
    assert not (x <= y <= z) or x <= z
    assert not (x == y == z) or x == z
    assert x != y or hash(x) == hash(y)
    assert not x < y or (min(x, y) == x and max(x, y) == y and repr(x) != repr(y))


@pytest.mark.behaviour("LimitedMessageBoxTest 27")
def test_the_smallest_limit_is_one_and_there_is_no_largest() -> None:
    assert mb.Blocking(1) < mb.Blocking(2) < mb.Blocking(2**4096)
    assert sorted([mb.Blocking(3), mb.Blocking(1), mb.Blocking(2)]) == [
        mb.Blocking(1),
        mb.Blocking(2),
        mb.Blocking(3),
    ]


def test_no_timeout_is_the_longest_timeout() -> None:
    configs = [
        mb.Waiting(1, deliver_timeout=1),
        mb.Waiting(1, deliver_timeout=None, receive_timeout=1),
        mb.Waiting(1, deliver_timeout=None),
        mb.Waiting(2, deliver_timeout=0),
    ]

    shuffled = [configs[i] for i in (2, 0, 3, 1)]
    assert sorted(shuffled) == configs


def test_of_two_configs_that_are_not_equal_one_is_less_also_when_both_wait_for_ever() -> None:
    one, other = mb.Waiting(1, deliver_timeout=None), mb.Waiting(1, deliver_timeout=math.inf)

    assert [one < other, one == other, one > other].count(True) == 1


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
@EACH
def test_comparing_a_config_with_something_else_is_a_type_error(
    config: mb.MailboxConfig, compare: Callable[[object, object], bool]
) -> None:
    for other in (7, None, "Waiting", mb.CatchAll(config)):
        with pytest.raises(TypeError, match="not supported between instances"):
            compare(config, other)


@EACH
def test_a_config_equals_no_config_of_another_kind(config: mb.MailboxConfig) -> None:
    assert [other == config for other in one_of_each].count(True) == 1
    assert config != 3


@EACH
def test_a_config_cannot_be_changed(config: mb.MailboxConfig) -> None:
    for field in dataclasses.fields(config):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, field.name, 7)
    with pytest.raises((AttributeError, TypeError)):
        config.something_new = 7  # type: ignore[attr-defined]
    assert not hasattr(config, "__dict__")


@EACH
def test_a_config_can_be_copied_and_pickled(config: mb.MailboxConfig) -> None:
    copies = [copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))]  # noqa: S301 - our own

    assert copies == [config] * 3


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (mb.Unlimited(), "Unlimited()"),
        (mb.Blocking(3), "Blocking(limit=3)"),
        (mb.NonBlocking(3), "NonBlocking(limit=3)"),
        (
            mb.Waiting(3, deliver_timeout=1),
            "Waiting(limit=3, deliver_timeout=1, receive_timeout=None)",
        ),
        (mb.Sliding(3), "Sliding(limit=3)"),
        (
            mb.Prioritized(mb.Blocking(3), operator.neg),
            "Prioritized(config=Blocking(limit=3), priority=<built-in function neg>)",
        ),
        (mb.CatchAll(mb.Blocking(3)), "CatchAll(config=Blocking(limit=3))"),
    ],
    ids=str,
)
def test_the_repr_of_a_config_is_how_it_is_written(config: object, text: str) -> None:
    assert repr(config) == text


@pytest.mark.parametrize("bad", BAD_LIMITS, ids=repr)
@pytest.mark.parametrize(
    "with_limit",
    [mb.Blocking, mb.NonBlocking, mb.Sliding, lambda limit: mb.Waiting(limit, deliver_timeout=1)],
    ids=["Blocking", "NonBlocking", "Sliding", "Waiting"],
)
def test_what_is_no_limit_is_refused_by_its_value(
    with_limit: Callable[[object], object], bad: object
) -> None:
    with pytest.raises(ValueError, match=rf"^limit must be .*, not {re.escape(repr(bad))}$"):
        with_limit(bad)


@pytest.mark.parametrize("bad", BAD_TIMEOUTS, ids=repr)
def test_what_is_no_timeout_is_refused_by_its_name_and_value(bad: float) -> None:
    text = re.escape(repr(bad))

    with pytest.raises(ValueError, match=rf"^deliver_timeout must be .*, not {text}$"):
        mb.Waiting(1, deliver_timeout=bad)
    with pytest.raises(ValueError, match=rf"^receive_timeout must be .*, not {text}$"):
        mb.Waiting(1, deliver_timeout=1, receive_timeout=bad)


def test_the_timeouts_of_waiting_are_given_by_name_and_the_first_must_be_given() -> None:
    with pytest.raises(TypeError):
        mb.Waiting(1, 2, 3)  # type: ignore[misc]
    with pytest.raises(TypeError, match="deliver_timeout"):
        mb.Waiting(1)  # type: ignore[call-arg]


def test_the_limit_of_catch_all_is_that_of_what_it_wraps() -> None:
    assert mb.CatchAll(mb.Blocking(3)).limit == 3
    assert mb.CatchAll(mb.Unlimited()).limit is None


@pytest.mark.parametrize("bad", [None, 3, mb.Blocking, object()], ids=["None", "3", "class", "obj"])
def test_catch_all_wraps_only_what_creates_mailboxes(bad: mb.MailboxConfig) -> None:
    with pytest.raises(TypeError, match=r"^config must be a mailbox config"):
        mb.CatchAll(bad)


def test_the_limit_of_prioritized_is_that_of_what_it_sorts() -> None:
    assert mb.Prioritized(mb.NonBlocking(3), operator.neg).limit == 3
    assert mb.Prioritized(mb.Unlimited(), operator.neg).limit is None


@pytest.mark.parametrize(
    "bad",
    [None, 3, mb.Blocking, mb.Sliding(3), mb.Prioritized(mb.Unlimited(), operator.neg), Ours()],
    ids=["None", "3", "class", "Sliding", "Prioritized", "a user's own"],
)
def test_prioritized_sorts_only_kinds_that_give_messages_out_as_they_came(
    bad: Any,  # noqa: ANN401 - anything
) -> None:
    with pytest.raises(TypeError, match=rf"^config must be .*, not {re.escape(repr(bad))}"):
        mb.Prioritized(bad, operator.neg)


def test_prioritized_says_that_catch_all_goes_around_it() -> None:
    with pytest.raises(TypeError, match=r"not CatchAll\(.*\) \(put the CatchAll around it\)$"):
        mb.Prioritized(mb.CatchAll(mb.Unlimited()), operator.neg)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [None, 3, "x"], ids=repr)
def test_a_priority_that_cannot_be_called_is_refused_by_its_value(
    bad: Any,  # noqa: ANN401 - anything
) -> None:
    with pytest.raises(TypeError, match=rf"^priority must be callable .*, not {bad!r}$"):
        mb.Prioritized(mb.Unlimited(), bad)


def test_a_priority_that_takes_no_message_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^priority must "):
        mb.Prioritized(mb.Unlimited(), lambda: 1)  # type: ignore[misc, arg-type]
