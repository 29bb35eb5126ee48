"""What users send (`Command`, `Notice`), and what receivers get (`Call`, `Cast`)."""

import dataclasses
from typing import Any, Final, final

from threadpool_mb.command.boxes import ReplyBox, answer_of
from threadpool_mb.informed import Informed

__all__ = ["Call", "Cast", "Command", "Notice", "Request"]


class Command[R]:
    """A message that expects a reply of type `R`; the base class of a user's own.

    ```python
    @dataclass(frozen=True, slots=True)
    class GetBalance(mb.Command[int]): ...
    ```

    From the original's `Command` with `Return`.
    """

    __slots__ = ()


class Notice:
    """A message that expects no reply; the base class of a user's own.

    From the original's `Command` with `FireAndForget`.
    """

    __slots__ = ()


@final
class Call[R](Informed):
    """A command and the box for its reply, as the receiver gets them: `case Call(command, box)`.

    From the original's `Blocking` message.
    """

    __slots__ = ("command", "reply_box")
    __match_args__ = ("command", "reply_box")

    def __init__(self, command: Command[R], reply_box: ReplyBox[R]) -> None:
        """Put the two together."""
        self.command: Command[R] = command
        """What is asked; only `delegate` changes it."""
        self.reply_box: Final = reply_box
        """Where the answer goes."""

    def not_handled(
        self,
        key: object,
        reason: str,
        *,
        started: bool = False,
        error: BaseException | None = None,
    ) -> None:
        """Tell the caller; see `Informed.not_handled`."""
        answer = answer_of(self.reply_box)
        if error is None and not started and answer.holder is not None:
            # It has waited in the mailbox of a worker that has failed.
            error = answer.holder.end_error
        answer.not_handled(key, reason, started=started, error=error)

    def __repr__(self) -> str:
        """Show the command and the id of the call."""
        return f"<Call {self.command!r} {self.reply_box.call_id}>"


@final
@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Cast:
    """A notice, as the receiver gets it: `case Cast(notice)`.

    From the original's `NonBlocking` message.
    """

    notice: Notice
    """What is told."""

    def __repr__(self) -> str:
        """Show the notice."""
        return f"<Cast {self.notice!r}>"


type Request = Call[Any] | Cast
"""What comes to a worker, or out of a mailbox, to which users call and cast."""
