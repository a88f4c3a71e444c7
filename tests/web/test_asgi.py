"""The client's departure is told at once, whoever comes first."""

from switchyard.web.asgi import Departure


def test_who_listens_is_reported_when_the_client_leaves() -> None:
    reported: list[str] = []
    departure = Departure()
    departure.listen(lambda: reported.append("first"))
    departure.listen(lambda: reported.append("second"))
    departure.happen()
    assert reported == ["second"]


def test_who_listens_too_late_is_reported_at_once() -> None:
    reported: list[str] = []
    departure = Departure()
    departure.happen()
    departure.listen(lambda: reported.append("gone"))
    assert reported == ["gone"]


def test_who_no_longer_listens_is_reported_nothing() -> None:
    reported: list[str] = []
    departure = Departure()
    departure.listen(lambda: reported.append("gone"))
    departure.listen(None)
    departure.happen()
    assert reported == []
