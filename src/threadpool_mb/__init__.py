"""Keyed worker pools: in order per key, parallel across keys, nothing lost."""

# Layers, and each module's one concept: docs/architecture.md. Imports point down only
# (tests/test_layers.py).
#
# No `NullHandler`: with it the log lines of lost messages and failed workers would be silent in a
# program that does not configure logging; without it Python prints warnings and errors to stderr.

import importlib
import typing

from threadpool_mb.broker.broker import Broker as Broker
from threadpool_mb.broker.config import BrokerConfig as BrokerConfig
from threadpool_mb.broker.config import KeepResource as KeepResource
from threadpool_mb.broker.config import RemoveResource as RemoveResource
from threadpool_mb.broker.config import ResourceUpdate as ResourceUpdate
from threadpool_mb.broker.config import UpdateResource as UpdateResource
from threadpool_mb.broker.reports import BrokerDrainReport as BrokerDrainReport
from threadpool_mb.command.boxes import ReplyBox as ReplyBox
from threadpool_mb.command.calling import call as call
from threadpool_mb.command.calling import call_async as call_async
from threadpool_mb.command.calling import cast as cast
from threadpool_mb.command.calling import delegate as delegate
from threadpool_mb.command.handlers import handles as handles
from threadpool_mb.command.handlers import handles_call as handles_call
from threadpool_mb.command.late import late_replies as late_replies
from threadpool_mb.command.messages import Call as Call
from threadpool_mb.command.messages import Cast as Cast
from threadpool_mb.command.messages import Command as Command
from threadpool_mb.command.messages import Notice as Notice
from threadpool_mb.command.messages import Request as Request
from threadpool_mb.command.reply import Reply as Reply
from threadpool_mb.command.serving import serve as serve
from threadpool_mb.command.serving import server as server
from threadpool_mb.counters import CallId as CallId
from threadpool_mb.counters import Counter as Counter
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
from threadpool_mb.errors import MailboxClosed as MailboxClosed
from threadpool_mb.errors import MailboxEmpty as MailboxEmpty
from threadpool_mb.errors import PoolClosed as PoolClosed
from threadpool_mb.errors import ThreadRefused as ThreadRefused
from threadpool_mb.errors import WorkerGone as WorkerGone
from threadpool_mb.executor.executor import KeyedExecutor as KeyedExecutor
from threadpool_mb.mailbox.bounded import Blocking as Blocking
from threadpool_mb.mailbox.bounded import NonBlocking as NonBlocking
from threadpool_mb.mailbox.bounded import Waiting as Waiting
from threadpool_mb.mailbox.catch_all import CatchAll as CatchAll
from threadpool_mb.mailbox.protocols import Input as Input
from threadpool_mb.mailbox.protocols import Mailbox as Mailbox
from threadpool_mb.mailbox.protocols import MailboxConfig as MailboxConfig
from threadpool_mb.mailbox.protocols import MailboxStats as MailboxStats
from threadpool_mb.mailbox.protocols import MessageFuture as MessageFuture
from threadpool_mb.mailbox.unlimited import Unlimited as Unlimited
from threadpool_mb.mailbox.using import handle_message as handle_message
from threadpool_mb.markers import MISSING as MISSING
from threadpool_mb.markers import Missing as Missing
from threadpool_mb.messages import Dispatch as Dispatch
from threadpool_mb.messages import Initialize as Initialize
from threadpool_mb.messages import Remove as Remove
from threadpool_mb.pool.ends import until_drained as until_drained
from threadpool_mb.pool.inputs import KeyInput as KeyInput
from threadpool_mb.pool.pool import Pool as Pool
from threadpool_mb.pool.reports import DrainReport as DrainReport
from threadpool_mb.pool.reports import PoolStats as PoolStats
from threadpool_mb.pool.reports import UnfinishedWorker as UnfinishedWorker
from threadpool_mb.pool.reports import WorkerExit as WorkerExit

if typing.TYPE_CHECKING:
    from threadpool_mb.aio.calling import acall as acall
    from threadpool_mb.aio.delivering import deliver_async as deliver_async
    from threadpool_mb.aio.receiving import async_messages as async_messages

__all__ = [
    "MISSING",
    "Blocking",
    "Broker",
    "BrokerConfig",
    "BrokerDrainReport",
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
    "Counter",
    "DeadLetter",
    "DeadLetterReason",
    "Dispatch",
    "DispatchDeadlock",
    "DrainReport",
    "DuplicateReply",
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
    "Missing",
    "NonBlocking",
    "Notice",
    "Pool",
    "PoolClosed",
    "PoolStats",
    "Remove",
    "RemoveResource",
    "Reply",
    "ReplyBox",
    "Request",
    "ResourceUpdate",
    "ThreadRefused",
    "UnfinishedWorker",
    "Unlimited",
    "UpdateResource",
    "Waiting",
    "WorkerExit",
    "WorkerGone",
    "acall",
    "async_messages",
    "call",
    "call_async",
    "cast",
    "delegate",
    "deliver_async",
    "handle_message",
    "handles",
    "handles_call",
    "late_replies",
    "serve",
    "server",
    "until_drained",
]

_ON_FIRST_USE = {
    "acall": "threadpool_mb.aio.calling",
    "async_messages": "threadpool_mb.aio.receiving",
    "deliver_async": "threadpool_mb.aio.delivering",
}
"""What imports asyncio, which takes a third of the time of importing all of this."""


def __getattr__(name: str) -> object:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_ON_FIRST_USE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
