import pytest

from switchyard.protocols.client_program import ClientProgram, program_of
from switchyard.protocols.names import ProtocolName


@pytest.mark.parametrize(
    ("protocol", "headers", "program"),
    [
        ("messages", {"user-agent": "claude-cli/2.1.332 (external, sdk-cli)"}, ClientProgram.CLAUDE_CODE),
        ("messages", {"x-claude-code-session-id": "s"}, ClientProgram.CLAUDE_CODE),
        ("messages", {"user-agent": "Anthropic/Python 2.14.0"}, ClientProgram.OTHER),
        ("messages", {"originator": "codex_exec"}, ClientProgram.OTHER),
        ("responses", {"user-agent": "codex_exec/0.171.0"}, ClientProgram.CODEX),
        ("responses", {"originator": "codex_cli_rs"}, ClientProgram.CODEX),
        ("responses", {"user-agent": "OpenAI/Python 3.57.0"}, ClientProgram.OTHER),
        ("chat", {"user-agent": "claude-cli/2.1.332", "originator": "codex_exec"}, ClientProgram.OTHER),
        ("chat", {}, ClientProgram.OTHER),
    ],
)
def test_a_program_is_known_by_its_headers_on_its_own_endpoint(
    protocol: ProtocolName, headers: dict[str, str], program: ClientProgram
) -> None:
    assert program_of(protocol, headers) is program
