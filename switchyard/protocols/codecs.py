"""The three codecs by the names of their protocols."""

from collections.abc import Mapping

from switchyard.protocols.anthropic_messages.codec import CODEC as MESSAGES
from switchyard.protocols.codec import Codec
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.openai_chat.codec import CODEC as CHAT
from switchyard.protocols.openai_responses.codec import CODEC as RESPONSES

CODECS: Mapping[ProtocolName, Codec] = {"messages": MESSAGES, "chat": CHAT, "responses": RESPONSES}
