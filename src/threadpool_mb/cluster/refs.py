"""A key of a cluster's pool as an `Input`: for `deliver`, `cast`, `call`, `ask` and `aio.call`."""

from collections.abc import Callable
from typing import Any, Final, final, override

from threadpool_mb.arguments import Deadline
from threadpool_mb.calls.answer import Answer
from threadpool_mb.calls.calling import CallTarget, settle_refused
from threadpool_mb.line.slots import Slots

__all__ = ["ClusterInput"]


@final
class ClusterInput[K, M](CallTarget[K, M]):
    """An `Input` that addresses one key, wherever it lives; from `ClusterPool.ref`.

    Threads: internally synchronized.
    """

    __slots__ = ("_call",)

    def __init__(
        self,
        key: K,
        dispatch: Callable[[K, M], bool],
        call: Callable[[K, Any, Deadline], bool],
    ) -> None:
        """Address `key` through `dispatch`, and with calls through `call`."""
        super().__init__(key, dispatch)
        self._call: Final = call

    @override
    def _offer(
        self, message: M, *, last: bool = False, answer: Answer[Any] | None = None
    ) -> bool | Slots:
        if answer is None:
            return self._dispatch(self._key, message)
        return self._deliver_call(message, answer, inline=False)

    @override
    def _deliver_call(self, call: M, answer: Answer[Any], *, inline: bool) -> bool:
        answer.holder = None
        taken = self._call(self._key, call, answer.deadline)
        if not taken:
            settle_refused(answer)
        return taken

    @override
    def _handle_on_loop(self, call: M, answer: Answer[Any]) -> bool:
        return False
