"""The client's departure is reported at once, whichever comes first."""

from switchyard.web.asgi import Departure


def test_a_listener_is_notified_when_the_client_leaves() -> None:
    reported: list[str] = []
    departure = Departure()
    departure.listen(lambda: reported.append("first"))
    departure.listen(lambda: reported.append("second"))
    departure.happen()
    assert reported == ["second"]


def test_a_late_listener_is_notified_at_once() -> None:
    reported: list[str] = []
    departure = Departure()
    departure.happen()
    departure.listen(lambda: reported.append("gone"))
    assert reported == ["gone"]


def test_a_removed_listener_is_not_notified() -> None:
    reported: list[str] = []
    departure = Departure()
    departure.listen(lambda: reported.append("gone"))
    departure.listen(None)
    departure.happen()
    assert reported == []
