"""Another value in a module's or an object's place, or another mode of a model, while a block of code runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def standing_in(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name` is `value` inside, and what it was again afterwards, also after an error."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextmanager
def not_training(model: Any) -> Iterator[None]:
    """The model computes without dropout inside, and afterwards as it did before."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
