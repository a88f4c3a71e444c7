"""The tables of repairs by the names of their protocols."""

from collections.abc import Mapping

from switchyard.protocols.names import ProtocolName
from switchyard.protocols.repair.chat import CHAT
from switchyard.protocols.repair.messages.table import MESSAGES
from switchyard.protocols.repair.responses import RESPONSES
from switchyard.protocols.repair.rows import Table

TABLES: Mapping[ProtocolName, Table] = {"messages": MESSAGES, "chat": CHAT, "responses": RESPONSES}
