"""The clock of a step: it belongs to one phase at a time, and all of them are the wall time."""

from types import SimpleNamespace

import pytest

from r1sgg_cli.training.phases import OTHER, UPDATE, Phases, UpdatePhase


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> float:
        self.now += seconds
        return seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def take_step(phases: Phases, clock: Clock, seconds: float) -> None:
    callback, nothing = UpdatePhase(phases), SimpleNamespace()
    callback.on_step_begin(*[nothing] * 3)
    clock.spend(seconds)
    callback.on_step_end(*[nothing] * 3)


def test_the_innermost_phase_has_the_time_and_all_add_up_to_it(clock: Clock) -> None:
    phases = Phases(clock)
    with phases.during(UPDATE):
        clock.spend(2)
        with phases.during("sampling"):
            clock.spend(3)
            with phases.during("sync"):
                clock.spend(5)
            clock.spend(0.5)
        clock.spend(1)
    clock.spend(0.25)
    assert phases.per_update() == {UPDATE: 3, "sampling": 3.5, "sync": 5, OTHER: 0.25}


def test_seconds_are_those_of_one_step_however_many_are_logged_together(clock: Clock) -> None:
    phases = Phases(clock)
    for seconds in (1, 2, 6):
        take_step(phases, clock, seconds)
    assert phases.per_update()[UPDATE] == 3
    take_step(phases, clock, 8)
    assert phases.per_update() == {UPDATE: 8, OTHER: 0}  # nothing is told twice


def test_what_came_before_the_training_is_no_part_of_its_first_step(clock: Clock) -> None:
    phases = Phases(clock)
    clock.spend(1000)
    UpdatePhase(phases).on_train_begin(*[SimpleNamespace()] * 3)
    take_step(phases, clock, 4)
    assert phases.per_update() == {UPDATE: 4, OTHER: 0}


def test_a_phase_that_fails_ends_all_the_same(clock: Clock) -> None:
    phases = Phases(clock)

    def fail() -> None:
        clock.spend(1)
        raise KeyError

    with pytest.raises(KeyError):
        phases.timed("evaluation", fail)()
    take_step(phases, clock, 2)
    assert phases.per_update() == {OTHER: 0, "evaluation": 1, UPDATE: 2}


def test_calls_of_a_function_can_be_a_phase(clock: Clock) -> None:
    phases = Phases(clock)
    assert phases.timed("sync", clock.spend)(seconds=7) == 7
    take_step(phases, clock, 1)
    assert phases.per_update()["sync"] == 7
