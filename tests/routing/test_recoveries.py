"""How a held request fares at targets that answer others."""

from switchyard.routing.recoveries import Recoveries

TARGET = ("u", "m")


def test_a_failure_calls_for_a_pause_only_where_others_have_succeeded_since_the_last_one() -> None:
    recoveries, pauses = Recoveries(), []
    for has_recovered in (False, True, False, True, True):
        if has_recovered:
            recoveries.note_recovered([TARGET, ("other", "m")])
        recoveries.note_failure(TARGET, was_alone=False)
        pauses.append(recoveries.take_pause(60.0))
    assert pauses == [0.0, 1.0, 0.0, 2.0, 4.0]


def test_a_pause_is_taken_once_and_never_longer_than_the_time_that_is_left() -> None:
    recoveries = Recoveries()
    recoveries.note_recovered([TARGET])
    recoveries.note_failure(TARGET, was_alone=True)
    assert [recoveries.take_pause(0.25), recoveries.take_pause(0.25)] == [0.25, 0.0]


def test_failures_after_a_recovery_count_by_target_where_no_other_request_was_trying() -> None:
    recoveries = Recoveries()
    for was_alone in (True, False, True):
        recoveries.note_recovered([TARGET])
        recoveries.note_failure(TARGET, was_alone=was_alone)
        recoveries.note_failure(("other", "m"), was_alone=True)
    assert recoveries.failures_alone == {TARGET: 2}


def test_a_try_without_a_slot_calls_for_a_pause() -> None:
    recoveries = Recoveries()
    recoveries.note_no_slot()
    assert recoveries.take_pause(60.0) == 1.0
