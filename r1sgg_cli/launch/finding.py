"""What a check of this machine came to."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "wrong", "note"]
"""`missing` and `wrong`: r1sgg does not work as it is; `note`: something is left out, slower or soon full."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `r1sgg doctor`."""

    name: str
    state: State
    detail: str
    remedy: str = ""
    """What mends it, a command wherever there is one; empty where nothing needs mending."""

    @property
    def is_fault(self) -> bool:
        """Whether r1sgg does not work as it is."""
        return self.state in ("missing", "wrong")
