"""Repair a body that is given as an object, as the daemon does it: through the bytes."""

from typing import Any

import msgspec

from switchyard.protocols.codec import Target
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.passthrough.peek import Document
from switchyard.protocols.repair.tables import TABLES


def repair_request(protocol: ProtocolName, body: dict[str, Any], target: Target) -> bool:
    """Change the body where this upstream needs it; True if anything was changed."""
    document = Document(msgspec.json.encode(body))
    TABLES[protocol].repair(document, target)
    encoded = document.encode()
    body.clear()
    body.update(msgspec.json.decode(encoded))
    return document.is_changed
