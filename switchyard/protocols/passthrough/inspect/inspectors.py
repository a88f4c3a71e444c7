"""The inspectors by the names of their protocols."""

from collections.abc import Mapping

from switchyard.protocols.names import ProtocolName
from switchyard.protocols.passthrough.inspect.chat import CHAT
from switchyard.protocols.passthrough.inspect.inspector import Inspector
from switchyard.protocols.passthrough.inspect.messages import MESSAGES
from switchyard.protocols.passthrough.inspect.responses import RESPONSES

INSPECTORS: Mapping[ProtocolName, Inspector] = {"messages": MESSAGES, "chat": CHAT, "responses": RESPONSES}
