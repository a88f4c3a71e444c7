"""An entry as it is being edited in the dashboard: in the place it would have in the file."""

from typing import Any

import msgspec

from switchyard.faults import SettingsError
from switchyard.settings import Parsed, Upstream, parse
from switchyard.web import editing
from switchyard.web.answers import Problem, object_of, within

Document = dict[str, Any]


class Draft(msgspec.Struct, frozen=True):
    """The document as a save would write it, and the place of the entry in it."""

    document: Document
    place: int

    @property
    def path(self) -> str:
        return f"$.upstreams[{self.place}]."

    def parsed(self) -> Parsed:
        """Raises SettingsError, with paths that begin at the entry."""
        try:
            return parse(self.document)
        except SettingsError as error:
            raise SettingsError(within(error.faults, self.path)) from None

    def upstream(self) -> Upstream:
        """Raises SettingsError."""
        return self.parsed().settings.upstreams[self.place]


def draft_of(document: Document, body: Document) -> Draft:
    """The `entry` of a request; with `name`, that stored entry lends the secrets it does not repeat."""
    entry, name = object_of(body, "entry"), body.get("name")
    if name is None:
        drafted = editing.added(document, editing.changed_entry({}, entry))
        return Draft(drafted, len(editing.entries_of(drafted)) - 1)
    try:
        place = editing.index_of(document, str(name))
    except editing.NoSuchUpstream as missing:
        raise Problem(404, str(missing)) from None
    stored = editing.entries_of(document)[place]
    changed = editing.changed_entry(stored, entry)
    kept = {field for field in changed if field in entry or field == "key"}
    whole = {field: value for field, value in changed.items() if field in kept}
    return Draft(editing.replaced(document, str(name), whole), place)
