"""An entry that is being edited in the dashboard, at its position in the file."""

from typing import Any

import msgspec

from switchyard.faults import Fault, SettingsError
from switchyard.settings import Upstream
from switchyard.settings_validation import Parsed, parse
from switchyard.web import editing, lending
from switchyard.web.answers import Problem, object_of, within

Document = dict[str, Any]


class Draft(msgspec.Struct, frozen=True):
    """The document as a save would write it, the position of the entry in it, and the fields that were sent.

    `saved` is the document before, whose entry `edits` is changed; None for a new entry.
    """

    document: Document
    place: int
    sent: Document
    saved: Document
    edits: int | None = None

    @property
    def path(self) -> str:
        return f"$.upstreams[{self.place}]."

    def parsed(self) -> Parsed:
        """The settings after a save. Raises SettingsError, with paths relative to the entry."""
        try:
            parsed = parse(self.document)
        except SettingsError as error:
            raise SettingsError(within(error.faults, self.path)) from None
        if self.edits is not None:
            _refuse(lending.moved_secrets(self._saved()[self.edits], self._entry(parsed), self.sent))
        return parsed

    def upstream(self, *, any_name: bool = False) -> Upstream:
        """The entry, to send a request to. Raises SettingsError.

        With `any_name` the key may be in a variable or keychain entry that the file does not name yet.
        """
        entry = self._entry(self.parsed())
        if not any_name:
            _refuse(lending.unsaved_name(self._saved(), entry))
        return entry

    def _entry(self, parsed: Parsed) -> Upstream:
        return parsed.settings.upstreams[self.place]

    def _saved(self) -> tuple[Upstream, ...]:
        return parse(self.saved).settings.upstreams


def draft_of(document: Document, body: Document) -> Draft:
    """The `entry` of a request; with `name`, secrets that it does not repeat come from that stored entry."""
    entry, name = object_of(body, "entry"), body.get("name")
    if name is None:
        drafted = editing.added(document, editing.changed_entry({}, entry))
        return Draft(drafted, len(editing.entries_of(drafted)) - 1, entry, document)
    try:
        place = editing.index_of(document, str(name))
    except editing.NoSuchUpstream as missing:
        raise Problem(404, str(missing)) from None
    changed = editing.changed_entry(editing.entries_of(document)[place], entry)
    kept = {field for field in changed if field in entry or field in ("key", "keys")}
    whole = {field: value for field, value in changed.items() if field in kept}
    return Draft(editing.replaced(document, str(name), whole), place, entry, document, place)


def update_of(document: Document, name: str, changes: Document) -> Draft:
    """The stored entry with some of its fields changed. Raises NoSuchUpstream."""
    place = editing.index_of(document, name)
    entry = editing.changed_entry(editing.entries_of(document)[place], changes)
    return Draft(editing.replaced(document, name, entry), place, changes, document, place)


def _refuse(faults: tuple[Fault, ...]) -> None:
    if faults:
        raise SettingsError(faults)
