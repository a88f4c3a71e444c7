"""Which upstreams have reported that they do not have a model."""

from switchyard.routing.missing_models import FORGET_SECONDS, MAX_MISSING, NO_CHANNEL_SECONDS, MissingModels

NOW = 1000.0


def missing_after_a_report() -> MissingModels:
    missing = MissingModels()
    missing.note("a", "gpt-5.5", NOW)
    return missing


def test_a_report_counts_for_an_hour_for_this_upstream_and_model() -> None:
    missing = missing_after_a_report()
    asked = [("a", "gpt-5.5", NOW), ("a", "gpt-5.5", NOW + FORGET_SECONDS), ("a", "gpt-5", NOW)]
    asked.append(("b", "gpt-5.5", NOW))
    assert [missing.is_missing(*one) for one in asked] == [True, False, False, False]


def test_a_relay_without_a_channel_now_is_asked_again_after_a_minute() -> None:
    missing = missing_after_a_report()
    missing.note("a", "gpt-5.5", NOW, seconds=NO_CHANNEL_SECONDS)
    found = [missing.is_missing("a", "gpt-5.5", NOW + later) for later in (59.0, 60.0)]
    assert (found, missing.models_of(["a"], NOW), missing.models_of(["b"], NOW)) == (
        [True, False],
        ["gpt-5.5"],
        [],
    )


def test_an_answer_an_edit_of_the_entry_and_the_user_clear_it() -> None:
    answered, edited, kept, cleared, all_cleared = (missing_after_a_report() for _ in range(5))
    answered.note_served("a", "gpt-5.5")
    edited.keep_only({"b"})
    kept.keep_only({"a", "b"})
    kept.forget(["b"])
    cleared.forget(["a"])
    all_cleared.forget()
    memories = (answered, edited, kept, cleared, all_cleared)
    found = [one.is_missing("a", "gpt-5.5", NOW) for one in memories]
    assert found == [False, False, True, False, False]


def test_the_memory_is_bounded_and_drops_what_has_expired() -> None:
    missing = MissingModels()
    for number in range(MAX_MISSING + 10):
        missing.note("a", f"m{number}", NOW)
    assert len(missing) == MAX_MISSING
    missing.note("a", "brief", NOW, seconds=NO_CHANNEL_SECONDS)
    missing.note("a", "later", NOW + FORGET_SECONDS)
    assert len(missing) == 1
