"""Which phase may follow which, and which phase a step needs."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import PhaseError
from ragkit.migration import ledger, phases
from ragkit.migration.phases import FOLLOWERS, NEEDED, NEXT_STEPS, require_phase, require_transition

ALL = list(FOLLOWERS)


def test_every_phase_has_its_place():
    assert set(NEXT_STEPS) == set(ALL)
    assert set(itertools.chain(*FOLLOWERS.values())) == {*ALL} - {phases.PLANNED}
    assert set(itertools.chain(*NEEDED.values())) <= set(ALL)


@pytest.mark.parametrize("entered", [phase for phase in ALL if phase != phases.RETIRED])
def test_nothing_follows_the_retirement(entered):
    with pytest.raises(PhaseError, match="cannot follow 'retired'; the next step is: none"):
        require_transition(phases.RETIRED, entered)


@pytest.mark.parametrize("step", sorted(NEEDED))
def test_a_step_says_the_phase_it_needs_and_the_one_it_found(step):
    for phase in ALL:
        if phase in NEEDED[step]:
            require_phase(step, phase)
            continue
        with pytest.raises(PhaseError, match=f"^{step} needs the phase .* is '{phase}'; the next"):
            require_phase(step, phase)


@given(st.lists(st.sampled_from(ALL), max_size=12))
def test_no_sequence_of_steps_returns_from_the_retirement(sequence):
    current, retired = phases.PLANNED, False
    for entered in sequence:
        try:
            require_transition(current, entered)
        except PhaseError:
            continue
        current, retired = entered, retired or entered == phases.RETIRED
        assert not retired or current == phases.RETIRED


def test_the_ledger_refuses_a_transition_and_records_nothing(filled):
    with filled.engine.begin() as connection:
        ledger.record(connection, filled.id, phases.CUT_OVER)
        ledger.record(connection, filled.id, phases.RETIRED)
        before = ledger.events(connection, filled.id)
    with pytest.raises(PhaseError, match="the phase 'cut over' cannot follow 'retired'"):
        filled.record(phases.CUT_OVER)
    with filled.engine.connect() as connection:
        assert ledger.events(connection, filled.id) == before
    assert filled.phase() == phases.RETIRED
