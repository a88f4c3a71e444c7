"""Write the answer of the older endpoint that compacts a conversation.

https://platform.openai.com/docs/api-reference/responses/compact
"""

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.ids import new_id
from switchyard.protocols.openai_responses.encode_request import encode_parts
from switchyard.protocols.usage import responses_usage


def encode_compact_response(response: neutral.Response, request: neutral.Request) -> bytes:
    """All that the user said, then the compaction."""
    output = [
        {"type": "message", "id": new_id("msg_"), "status": "completed", "role": "user", "content": parts}
        for message in request.messages
        if message.role == "user" and (parts := encode_parts(message.content, Capabilities(), []))
    ]
    compactions = [
        {"type": "compaction", "id": new_id("cmp_"), "encrypted_content": block.payload}
        for block in response.content
        if isinstance(block, neutral.Compaction)
    ]
    body = {
        "id": new_id("resp_"),
        "object": "response.compaction",
        "created_at": request.received_at,
        "output": output + compactions,
        "usage": responses_usage(response.usage or neutral.Usage()),
    }
    return msgspec.json.encode(body)
