"""Keyed worker pools: in order per key, parallel across keys, nothing lost."""

# Layers, and each module's one concept: docs/architecture.md. Imports point down only
# (tests/test_layers.py).
#
# No `NullHandler`: with it the log lines of lost messages and failed workers would be silent in a
# program that does not configure logging; without it Python prints warnings and errors to stderr.

import importlib
import typing

from threadpool_mb import aio as aio
from threadpool_mb.calls.calling import ask as ask
from threadpool_mb.calls.calling import call as call
from threadpool_mb.calls.calling import cast as cast
from threadpool_mb.calls.calling import delegate as delegate
from threadpool_mb.calls.handlers import handles as handles
from threadpool_mb.calls.handlers import handles_call as handles_call
from threadpool_mb.calls.messages import Call as Call
from threadpool_mb.calls.messages import Cast as Cast
from threadpool_mb.calls.messages import Command as Command
from threadpool_mb.calls.messages import Notice as Notice
from threadpool_mb.calls.messages import ReplyBox as ReplyBox
from threadpool_mb.calls.reply import Reply as Reply
from threadpool_mb.calls.serving import serve as serve
from threadpool_mb.calls.serving import server as server
from threadpool_mb.dead_letters import DeadLetter as DeadLetter
from threadpool_mb.dead_letters import DeadLetterReason as DeadLetterReason
from threadpool_mb.errors import CallDeadlock as CallDeadlock
from threadpool_mb.errors import CallError as CallError
from threadpool_mb.errors import CallFailed as CallFailed
from threadpool_mb.errors import CallNotDelivered as CallNotDelivered
from threadpool_mb.errors import CallTimedOut as CallTimedOut
from threadpool_mb.errors import Cancelled as Cancelled
from threadpool_mb.errors import DispatchDeadlock as DispatchDeadlock
from threadpool_mb.errors import DuplicateReply as DuplicateReply
from threadpool_mb.errors import Full as Full
from threadpool_mb.errors import MailboxClosed as MailboxClosed
from threadpool_mb.errors import MailboxEmpty as MailboxEmpty
from threadpool_mb.errors import PoolClosed as PoolClosed
from threadpool_mb.errors import ThreadRefused as ThreadRefused
from threadpool_mb.errors import WorkerGone as WorkerGone
from threadpool_mb.events import StuckWorker as StuckWorker
from threadpool_mb.mailbox.catch_all import CatchAll as CatchAll
from threadpool_mb.mailbox.kinds import Blocking as Blocking
from threadpool_mb.mailbox.kinds import NonBlocking as NonBlocking
from threadpool_mb.mailbox.kinds import Prioritized as Prioritized
from threadpool_mb.mailbox.kinds import Sliding as Sliding
from threadpool_mb.mailbox.kinds import Unlimited as Unlimited
from threadpool_mb.mailbox.kinds import Waiting as Waiting
from threadpool_mb.messages import Dispatch as Dispatch
from threadpool_mb.messages import Initialize as Initialize
from threadpool_mb.messages import Remove as Remove
from threadpool_mb.numbers import CallId as CallId
from threadpool_mb.observer import Observer as Observer
from threadpool_mb.pool.ends import until_drained as until_drained
from threadpool_mb.pool.inputs import KeyInput as KeyInput
from threadpool_mb.pool.later import Timer as Timer
from threadpool_mb.pool.lives import Restart as Restart
from threadpool_mb.pool.pool import Pool as Pool
from threadpool_mb.pool.reports import DrainReport as DrainReport
from threadpool_mb.pool.reports import ExitCause as ExitCause
from threadpool_mb.pool.reports import PoolStats as PoolStats
from threadpool_mb.pool.reports import WorkerExit as WorkerExit
from threadpool_mb.pool.reports import WorkerState as WorkerState
from threadpool_mb.pool.reports import WorkerStats as WorkerStats
from threadpool_mb.pool.waits import sleep as sleep
from threadpool_mb.pool.waits import wait as wait
from threadpool_mb.protocols import Input as Input
from threadpool_mb.protocols import Mailbox as Mailbox
from threadpool_mb.protocols import MailboxConfig as MailboxConfig
from threadpool_mb.protocols import MailboxStats as MailboxStats
from threadpool_mb.protocols import MessageFuture as MessageFuture
from threadpool_mb.rates import AfterError as AfterError
from threadpool_mb.rates import Rate as Rate
from threadpool_mb.rates import WhenFull as WhenFull
from threadpool_mb.values import MISSING as MISSING

if typing.TYPE_CHECKING:
    # Those that `__getattr__` gives.
    from threadpool_mb import dashboard as dashboard
    from threadpool_mb import originals as originals
    from threadpool_mb.broker.broker import Broker as Broker
    from threadpool_mb.broker.config import BrokerConfig as BrokerConfig
    from threadpool_mb.broker.config import BrokerDrainReport as BrokerDrainReport
    from threadpool_mb.broker.config import KeepResource as KeepResource
    from threadpool_mb.broker.config import RemoveResource as RemoveResource
    from threadpool_mb.broker.config import ResourceUpdate as ResourceUpdate
    from threadpool_mb.broker.config import UpdateResource as UpdateResource
    from threadpool_mb.broker.looking import BrokerStats as BrokerStats
    from threadpool_mb.keyed.executor import KeyedExecutor as KeyedExecutor
    from threadpool_mb.keyed.looking import ExecutorStats as ExecutorStats
    from threadpool_mb.keyed.looking import TaskLine as TaskLine

__all__ = [
    "MISSING",
    "AfterError",
    "Blocking",
    "Broker",
    "BrokerConfig",
    "BrokerDrainReport",
    "BrokerStats",
    "Call",
    "CallDeadlock",
    "CallError",
    "CallFailed",
    "CallId",
    "CallNotDelivered",
    "CallTimedOut",
    "Cancelled",
    "Cast",
    "CatchAll",
    "Command",
    "DeadLetter",
    "DeadLetterReason",
    "Dispatch",
    "DispatchDeadlock",
    "DrainReport",
    "DuplicateReply",
    "ExecutorStats",
    "ExitCause",
    "Full",
    "Initialize",
    "Input",
    "KeepResource",
    "KeyInput",
    "KeyedExecutor",
    "Mailbox",
    "MailboxClosed",
    "MailboxConfig",
    "MailboxEmpty",
    "MailboxStats",
    "MessageFuture",
    "NonBlocking",
    "Notice",
    "Observer",
    "Pool",
    "PoolClosed",
    "PoolStats",
    "Prioritized",
    "Rate",
    "Remove",
    "RemoveResource",
    "Reply",
    "ReplyBox",
    "ResourceUpdate",
    "Restart",
    "Sliding",
    "StuckWorker",
    "TaskLine",
    "ThreadRefused",
    "Timer",
    "Unlimited",
    "UpdateResource",
    "Waiting",
    "WhenFull",
    "WorkerExit",
    "WorkerGone",
    "WorkerState",
    "WorkerStats",
    "aio",
    "ask",
    "call",
    "cast",
    "dashboard",
    "delegate",
    "handles",
    "handles_call",
    "originals",
    "serve",
    "server",
    "sleep",
    "until_drained",
    "wait",
]


__version__ = "0.1.0"
"""The version of this package; the build reads it here."""

_LATER: typing.Final = {
    "Broker": "broker.broker",
    "BrokerConfig": "broker.config",
    "BrokerDrainReport": "broker.config",
    "BrokerStats": "broker.looking",
    "ExecutorStats": "keyed.looking",
    "KeepResource": "broker.config",
    "KeyedExecutor": "keyed.executor",
    "RemoveResource": "broker.config",
    "ResourceUpdate": "broker.config",
    "TaskLine": "keyed.looking",
    "UpdateResource": "broker.config",
}
"""What is imported when it is first used, and from where: most programs use one door."""

_RENAMED: typing.Final = {
    "Counter": "originals.Counter",
    "Missing": "originals.Missing",
    "Request": "originals.Request",
    "UnfinishedWorker": "WorkerStats",
    "acall": "aio.call",
    "async_messages": "aio.messages",
    "call_async": "ask",
    "deliver_async": "aio.deliver",
    "handle_message": "originals.handle_message",
    "late_replies": "originals.late_replies",
}
"""For programs that use what was there before the first release."""


def __getattr__(name: str) -> object:
    if name in {"dashboard", "originals"}:
        # `import_module` sets the attribute, too.
        return importlib.import_module(f"threadpool_mb.{name}")
    if name not in _LATER:
        hint = f"; it is {_RENAMED[name]!r} now" if name in _RENAMED else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
    value: object = getattr(importlib.import_module(f"threadpool_mb.{_LATER[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
