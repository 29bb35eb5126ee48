"""The page: what it is made of, and what it is told."""

import dataclasses
import gc
import html.parser
import logging
import re
import threading
import uuid
import weakref
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.dashboard.doubles import Plain, Record, Source, get, pool, state
from tests.helpers import until
from threadpool_mb import DeadLetterReason
from threadpool_mb.dashboard import Dashboard, serve, watching
from threadpool_mb.dashboard.answers import Answers, Keys
from threadpool_mb.dashboard.figures import text_of
from threadpool_mb.dashboard.watching import Sampler

FAST = 0.01


class Links(html.parser.HTMLParser):
    """What a page refers to, and what stands in its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src", "action"}:
                self.links.append(value or "")
            if name.startswith("on") or name == "style" or tag == "style":
                self.inline.append(f"{tag} {name}")
        if tag == "script" and "src" not in dict(attrs):
            self.inline.append(tag)


@pytest.fixture
def source() -> Source:
    return Source(Record("alice", messages=3), Record("bob", messages=9), waiting=12, handled=100)


@pytest.fixture
def page(source: Source) -> Iterator[Dashboard]:
    with serve(source, interval=FAST) as page:
        until(lambda: pool(page)["hot"])
        yield page


def test_the_page_loads_nothing_from_elsewhere_and_has_nothing_inline(page: Dashboard) -> None:
    links = Links(get(page).body.decode())

    assert {link for link in links.links if not link.startswith("#")} == {
        "data:,",
        "page.css",
        "page.js",
    }
    assert links.inline == []


@pytest.mark.parametrize("path", ["/page.js", "/parts.js", "/plots.js", "/page.css"])
def test_no_part_of_the_page_refers_to_another_host(page: Dashboard, path: str) -> None:
    text = get(page, path).body.decode()

    assert re.findall(r"https?://[^\s\"']*|@import|url\(", text) in (
        [],
        ["http://www.w3.org/2000/svg"],  # a name, not an address
    )
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


@pytest.mark.parametrize("path", ["/", "/page.js", "/api/state", "/api/key?pool=7", "/no"])
def test_each_answer_has_a_policy_that_allows_the_servers_own_files_only(
    page: Dashboard, path: str
) -> None:
    headers = get(page, path).headers

    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["trusted-types"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers
    assert "Server" not in headers


def test_the_files_have_the_types_without_which_a_browser_takes_none(page: Dashboard) -> None:
    types = {
        path: get(page, path).headers["Content-Type"] for path in ("/", "/page.css", "/page.js")
    }

    assert types == {
        "/": "text/html; charset=utf-8",
        "/page.css": "text/css; charset=utf-8",
        "/page.js": "text/javascript; charset=utf-8",
    }


def test_the_page_is_told_the_figures_that_the_snapshot_has_and_no_others() -> None:
    source = Source(
        keys=3,
        busy=2,
        waiting=7,
        handled=100,
        oldest=0.5,
        threads=4,
        max_keys=None,
        ended={"failed": 1, "idle": 0},
        dead_letters={DeadLetterReason.REFUSED: 2},
    )

    with serve(source, interval=FAST) as page:
        until(lambda: pool(page)["points"])
        told = pool(page)

    assert (told["id"], told["kind"], told["name"], told["state"]) == (
        0,
        "Source",
        "orders",
        "running",
    )
    assert told["figures"] == {
        "keys": 3,
        "busy": 2,
        "waiting": 7,
        "handled": 100,
        "oldest": 0.5,
        "threads": 4,
    }
    assert told["ended"] == {"failed": 1}
    assert told["dead_letters"] == {"refused by the limit": 2}
    assert (told["gone"], told["error"], told["stuck"]) == (False, None, [])
    point = told["points"][0]
    assert {name: point[name] for name in ("waiting", "handled", "busy", "threads", "dead")} == {
        "waiting": 7,
        "handled": 100,
        "busy": 2,
        "threads": 4,
        "dead": {"refused by the limit": 2},
    }


def test_the_page_asks_for_what_is_new(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    # Else one that takes long, on a busy machine, is taken less often: there are gaps.
    for share in ("_SHARE", "_SHARE_LOOKED_AT"):
        monkeypatch.setattr(watching, share, 0)
    with serve(source, interval=FAST) as page:
        until(lambda: state(page)["sample"] >= 5)
        told = state(page)

        later = state(page, after=told["sample"])

    assert [point["n"] for point in told["pools"][0]["points"]][:5] == [1, 2, 3, 4, 5]
    assert all(point["n"] > told["sample"] for point in later["pools"][0]["points"])
    assert later["run"] == told["run"]


def test_two_dashboards_have_runs_of_their_own(source: Source) -> None:
    with serve(source) as one, serve(source) as other:
        assert state(one)["run"] != state(other)["run"]


def test_the_keys_with_the_longest_queues_come_first_and_each_can_be_looked_at(
    page: Dashboard,
) -> None:
    bob, alice = pool(page)["hot"]["keys"]

    assert (bob["text"], bob["messages"], bob["state"]) == ("'bob'", 9, "busy")
    assert (alice["text"], alice["messages"]) == ("'alice'", 3)
    found = get(page, f"/api/key?pool=0&id={bob['id']}").json()
    assert found == {
        "found": True,
        "id": bob["id"],
        "text": "'bob'",
        "type": "str",
        "worker": {"incarnation": 1, "state": "busy", "told_to_end": False, "messages": 9},
        "stuck": None,
    }


def test_a_key_keeps_its_number_from_one_sample_to_the_next(page: Dashboard) -> None:
    before = [key["id"] for key in pool(page)["hot"]["keys"]]
    sample = state(page)["sample"]
    until(lambda: state(page)["sample"] > sample + 5)

    assert [key["id"] for key in pool(page)["hot"]["keys"]] == before


def test_a_stuck_worker_is_told_of_with_its_stack_also_where_its_key_is_looked_at() -> None:
    stuck = [
        SimpleNamespace(
            key=key, incarnation=7, seconds=seconds, thread="orders-shared-1", stack="a\nb"
        )
        for key, seconds in (("alice", 3.0), ("bob", 30.0))
    ]
    source = Source(Record("bob"), stuck=tuple(stuck))

    with serve(source, interval=FAST) as page:
        until(lambda: pool(page)["stuck"])
        told = pool(page)["stuck"]
        found = get(page, "/api/key?pool=0&text=bob").json()

    assert [each["text"] for each in told] == ["'bob'", "'alice'"]
    assert found["stuck"] == told[0]
    assert {name: told[0][name] for name in ("incarnation", "seconds", "thread", "stack")} == {
        "incarnation": 7,
        "seconds": 30.0,
        "thread": "orders-shared-1",
        "stack": "a\nb",
    }


NUMBER = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("bob", "bob"),
        ("'bob'", "bob"),
        ("42", 42),
        ("'42'", "42"),
        (" -1.5 ", -1.5),
        ("('eu', 7)", ("eu", 7)),
        ('("eu",)', ("eu",)),
        ("b'x'", b"x"),
        ("None", None),
        (str(NUMBER), NUMBER),
        ("<b>", "<b>"),
        (" spaces ", " spaces "),
        ("[1, 2]", "[1, 2]"),
        ("'\\d'", "'\\d'"),
        ("1or 2", "1or 2"),
        ("(" * 300, "(" * 300),
        ("007", "007"),
        ("", ""),
        ("grün", "grün"),
    ],
)
def test_a_key_is_found_by_what_is_typed_as_a_literal_or_as_it_is(typed: str, key: object) -> None:
    source = Source(Record(key, incarnation=5), Record("another"))
    answers = Answers(Sampler([source], 1.0), "localhost")

    found = answers._named(answers._sampler.watches[0], typed)

    assert found["found"] is True
    assert found["worker"] == {
        "incarnation": 5,
        "state": "busy",
        "told_to_end": False,
        "messages": 0,
    }


def test_of_a_number_and_its_text_the_number_is_meant_unless_there_is_none() -> None:
    source = Source(Record(42, incarnation=1), Record("42", incarnation=2), Record("7"))

    with serve(source) as page:
        found = [
            get(page, f"/api/key?pool=0&text={text}").json()["type"]
            for text in ("42", "%2742%27", "7")
        ]

    assert found == ["int", "str", "str"]


def test_a_key_that_has_no_worker_is_not_found(page: Dashboard) -> None:
    told = get(page, "/api/key?pool=0&text=%3Cb%3Enobody").json()

    assert told == {"found": False, "text": "'<b>nobody'"}


@pytest.mark.parametrize(
    "query", ["pool=1&text=x", "pool=-1&text=x", "text=x", "pool=0", "pool=0&id=99", "pool=0&id=²"]
)
def test_what_is_not_known_is_not_found(page: Dashboard, query: str) -> None:
    path = "/api/key?" + query.replace("²", "%C2%B2")

    assert get(page, path).status == 404


def test_looking_at_a_key_asks_for_that_key_alone(source: Source, page: Dashboard) -> None:
    until(lambda: get(page, "/api/key?pool=0&text=bob").json()["found"])
    source.asked.clear()

    get(page, "/api/key?pool=0&text='bob'")

    assert source.asked.count("worker") == 1


def test_a_text_of_a_key_is_one_line_of_what_can_be_printed() -> None:
    class Bell:
        def __repr__(self) -> str:
            return "a\a\nb"

    assert text_of(Bell()) == r"a\x07\nb"


def test_where_a_source_cannot_be_asked_for_a_key_it_is_found_among_the_hot_ones() -> None:
    with serve(Plain(Record("bob", messages=9)), interval=FAST) as page:
        until(lambda: pool(page)["hot"])
        found = get(page, "/api/key?pool=0&text=bob").json()
        missing = get(page, "/api/key?pool=0&text=alice").json()
        told = pool(page)

    assert found["worker"]["messages"] == 9
    assert missing["found"] is False
    assert (told["name"], told["state"], told["figures"]) == ("Plain 1", "unknown", {})
    assert told["dead_letters"] == {"refused by the limit": 2}


class Hostile:
    """A key whose every method fails once the test wants it."""

    angry = False

    def __repr__(self) -> str:
        raise ValueError("no repr")

    def __hash__(self) -> int:
        if self.angry:
            raise ValueError("no hash")
        return 1

    def __eq__(self, other: object) -> bool:
        if self.angry:
            raise ValueError("no eq")
        return self is other


def test_hostile_keys_arrive_as_plain_text_and_stop_nothing() -> None:
    angry = Hostile()
    angry.angry = True
    keys = [
        "</script><img src=x onerror=alert(1)>",
        "x" * 100_000,
        "a\nb\x00\u202e",
        "\ud800",
        angry,
    ]
    source = Source(*(Record(key, messages=9 - place) for place, key in enumerate(keys)))

    with serve(source, interval=FAST) as page:
        until(lambda: pool(page)["hot"])
        answer = get(page, "/api/state")
        shown = pool(page)["hot"]["keys"]

    assert answer.headers["Content-Type"] == "application/json"
    assert [key["text"] for key in shown] == [
        "'</script><img src=x onerror=alert(1)>'",
        "'" + "x" * 159 + "…",
        r"'a\nb\x00\u202e'",
        r"'\ud800'",
        "<Hostile whose repr raises ValueError>",
    ]
    assert [key["id"] is None for key in shown] == [False, False, False, False, True]


def test_a_key_that_is_looked_at_is_shown_longer_than_in_the_list() -> None:
    source = Source(Record("x" * 100_000, messages=1))

    with serve(source, interval=FAST) as page:
        until(lambda: pool(page)["hot"])
        (key,) = pool(page)["hot"]["keys"]
        found = get(page, f"/api/key?pool=0&id={key['id']}").json()

    assert found["text"] == "'" + "x" * 3_999 + "…"


def test_the_keys_that_are_known_by_number_are_bounded() -> None:
    keys = Keys()
    numbers = [keys.number(f"key {number}") for number in range(600)]
    assert keys.number("key 599") == numbers[-1]

    with pytest.raises(KeyError):
        keys.key(1)
    assert keys.key(600) == "key 599"
    assert len(keys._keys) == len(keys._numbers) == 500


def test_a_key_that_is_asked_for_again_is_kept_longer_than_others() -> None:
    keys = Keys()
    first = keys.number("first")
    for number in range(800):
        keys.number(number)
        assert keys.number("first") == first


def test_the_keys_of_a_pool_that_has_ended_are_let_go(source: Source, page: Dashboard) -> None:
    key = Hostile()
    alive = weakref.ref(key)
    source.records.append(Record(key, messages=99))
    until(lambda: pool(page)["hot"]["keys"][0]["messages"] == 99)
    number = pool(page)["hot"]["keys"][0]["id"]
    source.records.clear()
    del key

    source.figures["state"] = "ended"
    until(lambda: pool(page)["state"] == "ended")
    until(lambda: (gc.collect(), alive() is None)[1])

    assert get(page, f"/api/key?pool=0&id={number}").status == 404


def test_an_error_in_an_answer_is_logged_and_answered_with_500(
    page: Dashboard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> object:
        raise ValueError("planted")

    monkeypatch.setattr(Answers, "_state", broken)
    response = get(page, "/api/state")

    assert (response.status, b"planted" in response.body) == (500, False)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "planted" in caplog.text


def test_several_pools_are_shown_and_each_has_keys_of_its_own() -> None:
    one = Source(Record("alice", incarnation=1, messages=1), name="one")
    two = Source(Record("alice", incarnation=2, messages=1), name="two")

    with serve(one, two, interval=FAST) as page:
        until(lambda: all(each["hot"] for each in state(page)["pools"]))
        pools = state(page)["pools"]
        found = [get(page, f"/api/key?pool={number}&text=alice").json() for number in (0, 1)]

    assert [each["name"] for each in pools] == ["one", "two"]
    assert [each["worker"]["incarnation"] for each in found] == [1, 2]


def test_requests_are_answered_on_one_thread_while_many_come(page: Dashboard) -> None:
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(get(page, "/api/state").status))
        for _ in range(30)
    ]
    for thread in threads:
        thread.start()
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("dashboard")]
    for thread in threads:
        thread.join()

    assert answers == [200] * 30
    assert sorted(names) == ["dashboard-sampler", "dashboard-server"]


def test_the_records_of_workers_show_numbers_words_and_nothing_else() -> None:
    @dataclasses.dataclass(frozen=True)
    class Odd:
        key: object
        ratio: float = float("nan")
        limit: object = None
        what: object = dataclasses.field(default_factory=lambda: {"a": "<b>"})

    source = Source()
    source.records = [Odd("x")]  # type: ignore[list-item]

    with serve(source) as page:
        found = get(page, "/api/key?pool=0&text=x").json()

    assert found["worker"] == {"ratio": "nan", "limit": None, "what": "{'a': '<b>'}"}


def test_of_a_record_that_is_no_dataclass_the_page_shows_its_key_alone() -> None:
    source = Source()
    source.records = [SimpleNamespace(key="x", waiting=1)]  # type: ignore[list-item]

    with serve(source) as page:
        found = get(page, "/api/key?pool=0&text=x").json()

    assert found["worker"] == {}
