"""What the server answers: the page, what it shows, and what is known of a key.

All of it runs on the server's thread.
"""

import ast
import collections
import contextlib
import http
import importlib.resources
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Final, cast, final

from threadpool_mb.dashboard.figures import Stuck, details_of, text_of, type_of
from threadpool_mb.dashboard.requests import Hosts, Refused, Request, read_request
from threadpool_mb.dashboard.watching import Hot, Point, Sampler, Shot, Watch
from threadpool_mb.logs import Logger

__all__ = ["Answers", "refusal"]

_logger = Logger(__name__)

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_ALWAYS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cache-Control", "no-store"),
    ("Connection", "close"),
)
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_FILES: Final = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/parts.js": ("parts.js", "text/javascript; charset=utf-8"),
    "/plots.js": ("plots.js", "text/javascript; charset=utf-8"),
}

_MOST_KEYS: Final = 500
"""Keys of a pool to which the page can come back."""
_LONG: Final = 4_000
"""Characters of a key that are shown where it is looked at by itself."""
_ITEM: Final = r"""(?:[+-]?\d{1,40}(?:\.\d{1,40})?|b?'[^'\\]*'|b?"[^"\\]*"|None|True|False)"""
_LITERAL: Final = re.compile(rf"{_ITEM}|\(\s*{_ITEM}(?:\s*,\s*{_ITEM})*\s*,?\s*\)")
"""Numbers, texts and tuples of them. What else is a literal may warn when it is compiled."""
_UUID: Final = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


@final
class Keys:
    """Numbers for a pool's keys, by which the page asks for them; the last ones are kept."""

    __slots__ = ("_keys", "_numbers", "_used")

    def __init__(self) -> None:
        """Know no key."""
        self._keys: Final[collections.OrderedDict[int, object]] = collections.OrderedDict()
        self._numbers: Final[dict[object, int]] = {}
        self._used = 0

    def number(self, key: object) -> int | None:
        """Return the number of a key; `None` if it cannot be hashed."""
        try:
            number = self._numbers.get(key)
            if number is None:
                self._used += 1
                number = self._numbers[key] = self._used
                self._keys[number] = key
                if len(self._keys) > _MOST_KEYS:
                    _, oldest = self._keys.popitem(last=False)
                    del self._numbers[oldest]
            self._keys.move_to_end(number)
        except Exception:  # noqa: BLE001 - a user's __hash__ or __eq__
            return None
        return number

    def clear(self) -> None:
        """Forget all keys; their numbers are not given again."""
        self._keys.clear()
        self._numbers.clear()

    def key(self, number: int) -> object:
        """Return the key of a number.

        Raises:
            KeyError: if there is none, or it was long ago.
        """
        return self._keys[number]


@final
class Answers:
    """Answers requests. Threads: one at a time."""

    __slots__ = ("_files", "_hosts", "_keys", "_run", "_sampler")

    def __init__(self, sampler: Sampler, host: str) -> None:
        """Show what `sampler` has seen, to those that call the server `host`, or by an address."""
        self._sampler: Final = sampler
        self._hosts: Final = Hosts(host)
        self._run: Final = uuid.uuid4().hex
        self._keys: Final = [Keys() for _ in sampler.watches]
        folder = importlib.resources.files("threadpool_mb.dashboard") / "page"
        self._files: Final = {
            path: (kind, (folder / name).read_bytes()) for path, (name, kind) in _FILES.items()
        }

    def answer(self, head: bytes) -> bytes:
        """Return the response to a request's head."""
        head_only = head.startswith(b"HEAD ")
        try:
            request = read_request(head, self._hosts)
            kind, body = self._body(request)
        except Refused as refused:
            return refusal(refused, head_only=head_only)
        except Exception:
            _logger.exception("dashboard: a request cannot be answered")
            broken = Refused(http.HTTPStatus.INTERNAL_SERVER_ERROR, "see the log")
            return refusal(broken, head_only=head_only)
        return _response(http.HTTPStatus.OK, kind, body, head_only=head_only)

    def _body(self, request: Request) -> tuple[str, bytes]:
        if request.path in self._files:
            return self._files[request.path]
        if request.path == "/api/state":
            return _JSON, _as_json(self._state(_whole(request.fields, "after", -1)))
        if request.path == "/api/key":
            return _JSON, _as_json(self._key(request))
        raise Refused(http.HTTPStatus.NOT_FOUND, "there is no such page")

    def _state(self, after: int) -> dict[str, object]:
        sampler = self._sampler
        sampler.asked()
        return {
            "run": self._run,
            "interval": sampler.interval,
            "sample": sampler.number,
            "now": time.time(),
            "pools": [self._pool(watch, after) for watch in sampler.watches],
        }

    def _pool(self, watch: Watch, after: int) -> dict[str, object]:
        shot = watch.shot
        figures = shot.figures
        if watch.over:
            self._keys[watch.number].clear()
        return {
            "id": watch.number,
            "kind": watch.kind,
            "name": figures.name or f"{watch.kind} {watch.number + 1}",
            "state": figures.state,
            "gone": shot.gone,
            "error": shot.error,
            "figures": figures.numbers,
            "ended": figures.ended,
            "dead_letters": figures.dead_letters,
            "points": [_point(each) for each in shot.points if each.number > after],
            "hot": None if shot.hot is None else self._hot(watch, shot.hot),
            "stuck": [self._stuck(watch, each) for each in shot.stuck],
        }

    def _hot(self, watch: Watch, hot: Hot) -> dict[str, object]:
        keys = self._keys[watch.number]
        return {
            "age": max(0.0, time.time() - hot.time),
            "seconds": hot.seconds,
            "keys": [
                {"id": keys.number(each.key), "text": each.text, **details_of(each.worker)}
                for each in hot.keys
            ],
        }

    def _stuck(self, watch: Watch, stuck: Stuck) -> dict[str, object]:
        return {
            "id": self._keys[watch.number].number(stuck.key),
            "text": stuck.text,
            "incarnation": stuck.incarnation,
            "seconds": stuck.seconds,
            "thread": stuck.thread,
            "stack": stuck.stack,
        }

    def _key(self, request: Request) -> dict[str, object]:
        self._sampler.asked()
        number = _whole(request.fields, "pool", -1)
        if not 0 <= number < len(self._keys):
            raise Refused(http.HTTPStatus.NOT_FOUND, "there is no such pool")
        watch, keys = self._sampler.watches[number], self._keys[number]
        text = request.fields.get("text")
        if text is not None:
            return self._named(watch, text)
        try:
            key = keys.key(_whole(request.fields, "id", -1))
        except KeyError as error:
            raise Refused(http.HTTPStatus.NOT_FOUND, "this key is not known any more") from error
        return self._found(watch, key, _worker_of(watch, key))

    def _named(self, watch: Watch, text: str) -> dict[str, object]:
        """Return what is known of the first key that `text` may mean and that has a worker."""
        for key in _meanings(text):
            worker = _worker_of(watch, key)
            if worker is not None:
                return self._found(watch, key, worker)
        return {"found": False, "text": _shown(text)}

    def _found(self, watch: Watch, key: object, worker: object) -> dict[str, object]:
        stuck = [each for each in watch.shot.stuck if _same(each.key, key)]
        return {
            "found": True,
            "id": self._keys[watch.number].number(key),
            "text": _shown(key),
            "type": type_of(key),
            "worker": None if worker is None else details_of(worker),
            "stuck": self._stuck(watch, stuck[0]) if stuck else None,
        }


def _shown(key: object) -> str:
    return text_of(key, _LONG)


def _same(one: object, other: object) -> bool:
    try:
        return one is other or bool(one == other)
    except Exception:  # noqa: BLE001 - a user's __eq__
        return False


def _meanings(text: str) -> list[object]:
    """Return the keys that a text may stand for: what it is as a literal, and itself."""
    stripped = text.strip()
    meanings: list[object] = [text]
    if _UUID.fullmatch(stripped):
        meanings.insert(0, uuid.UUID(stripped))
    elif _LITERAL.fullmatch(stripped):
        with contextlib.suppress(ValueError, SyntaxError):
            meanings.insert(0, ast.literal_eval(stripped))
    return meanings


def _worker_of(watch: Watch, key: object) -> object:
    """Return the record of a key's worker, or `None`; from the hot ones if it cannot be asked."""
    source = watch.source
    look = cast("Callable[[object], object] | None", getattr(source, "worker", None))
    if look is not None:
        try:
            return look(key)
        except Exception:  # noqa: BLE001 - a user's __eq__; or no key of this pool
            return None
    shot: Shot = watch.shot
    hot = () if shot.hot is None else shot.hot.keys
    return next((each.worker for each in hot if _same(each.key, key)), None)


def _point(point: Point) -> dict[str, object]:
    numbers = point.figures.numbers
    return {
        "n": point.number,
        "t": point.time,
        **{name: numbers.get(name) for name in ("waiting", "handled", "busy", "threads")},
        # Of an executor, or a broker, each task in hand has a thread.
        "busy_threads": numbers.get("busy_threads", numbers.get("busy")),
        "dead": point.figures.dead_letters,
    }


def _whole(fields: Mapping[str, str], name: str, default: int) -> int:
    text = fields.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else default  # noqa: PLR2004 - what JavaScript counts to


def _as_json(value: object) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


def refusal(refused: Refused, *, head_only: bool = False) -> bytes:
    """Return the response that refuses a request."""
    body = f"{refused.status.value} {refused.status.phrase}: {refused}\n".encode()
    return _response(refused.status, _TEXT, body, head_only=head_only)


def _response(status: http.HTTPStatus, kind: str, body: bytes, *, head_only: bool) -> bytes:
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), *_ALWAYS]
    if status is http.HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("Allow", "GET, HEAD"))
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{n}: {v}" for n, v in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if head_only else body)
