from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.routing.final_errors import FinalErrors
from switchyard.settings import Settings

ERROR = WireError(ErrorType.SERVER, "down", 503)
OTHER = WireError(ErrorType.BILLING, "no credit", 402)
SETTINGS = Settings()


def test_a_final_error_is_given_for_one_repeat_of_its_turn() -> None:
    ended = FinalErrors()
    ended.remember("a", ERROR, SETTINGS, 0.0)
    ended.remember("b", OTHER, SETTINGS, 1.0)
    assert [ended.take(turn, SETTINGS, 2.0) for turn in ("a", "a", "b", "c")] == [ERROR, None, OTHER, None]


def test_a_final_error_is_forgotten_after_a_minute() -> None:
    ended = FinalErrors()
    ended.remember("a", ERROR, SETTINGS, 100.0)
    ended.remember("b", ERROR, SETTINGS, 100.0)
    assert ended.take("a", SETTINGS, 159.9) is ERROR
    assert ended.take("b", SETTINGS, 160.0) is None


def test_a_final_error_does_not_outlive_a_change_of_the_settings() -> None:
    ended = FinalErrors()
    ended.remember("a", ERROR, SETTINGS, 0.0)
    assert ended.take("a", Settings(), 1.0) is None


def test_the_last_error_of_a_turn_holds() -> None:
    ended = FinalErrors()
    ended.remember("a", ERROR, SETTINGS, 0.0)
    ended.remember("a", OTHER, SETTINGS, 50.0)
    assert ended.take("a", SETTINGS, 70.0) is OTHER


def test_the_oldest_turns_are_forgotten_first() -> None:
    ended = FinalErrors(capacity=2)
    for turn in ("a", "b", "a", "c"):
        ended.remember(turn, ERROR, SETTINGS, 0.0)
    assert len(ended) == 2
    assert [ended.take(turn, SETTINGS, 1.0) is None for turn in ("a", "b", "c")] == [False, True, False]
