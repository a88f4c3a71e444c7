"""The client's departure is told at once, whoever comes first."""

from switchyard.web.asgi import Departure


def test_who_listens_is_told_when_the_client_leaves() -> None:
    told: list[str] = []
    departure = Departure()
    departure.listen(lambda: told.append("first"))
    departure.listen(lambda: told.append("second"))
    departure.happen()
    assert told == ["second"]


def test_who_listens_too_late_is_told_at_once() -> None:
    told: list[str] = []
    departure = Departure()
    departure.happen()
    departure.listen(lambda: told.append("gone"))
    assert told == ["gone"]


def test_who_no_longer_listens_is_told_nothing() -> None:
    told: list[str] = []
    departure = Departure()
    departure.listen(lambda: told.append("gone"))
    departure.listen(None)
    departure.happen()
    assert told == []
