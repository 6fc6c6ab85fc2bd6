"""Ctrl-C and SIGTERM end a command alike: with one sentence, after its `finally` clauses, and with the shell's code."""

import os
import signal
from types import FrameType

WHAT_IS_KEPT = "what was finished is kept; the same command continues"
"""Said where nothing nearer to the work has noted (`add_note`) what is kept."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: of `timeout`, of a container that is stopped, of a scheduler."""


def interrupt_at_sigterm() -> None:
    """From now on SIGTERM raises `Terminated` in this process's main thread, once; a second one ends it at once.

    Forked processes end as they did. So do training processes that `torchrun` started: amid a collective none would
    get to raise anything.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return
    own = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != own:
            os.kill(os.getpid(), number)
        raise Terminated

    signal.signal(signal.SIGTERM, end)


def said_at_the_end(interrupt: KeyboardInterrupt) -> str:
    """The sentence for whoever ended the command."""
    ended = "terminated" if isinstance(interrupt, Terminated) else "interrupted"
    return f"{ended}: {'; '.join(getattr(interrupt, '__notes__', [WHAT_IS_KEPT]))}"


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """128 and the signal's number, as shells have it."""
    return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
