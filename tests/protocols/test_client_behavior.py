"""`docs/failures.md` says what each client gets, and `docs/client-behavior.md` why."""

import json
import re
from pathlib import Path

from switchyard.protocols.client_program import ClientProgram
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.errors.final_reply import ENDINGS, SOON_SECONDS, Cause, Form, Situation, reply
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.routing.final_errors import KEEP_SECONDS

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "client-behavior.md").read_text()
FAILURES = (DOCS / "failures.md").read_text()
CLIENTS_SEE = FAILURES[FAILURES.index("## What each client sees") :]
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
REASONS = re.compile(r"^- ((?:`\w+`, )*`\w+`): (.+)\.$", re.MULTILINE)
CAUSES: list[Cause] = [*ErrorType, *Situation]


def cell(program: ClientProgram, cause: Cause) -> str:
    ending = ENDINGS[program][cause]
    error = WireError(ErrorType.SERVER if isinstance(cause, Situation) else cause, "broke", 599)
    match ending.form:
        case Form.CUT:
            return "cut"
        case Form.FAILED:
            reported = reply(CODECS["responses"], error, ending, stream=True, recovery_seconds=1.0)
            return f"`{json.loads(reported.body.split(b'data: ')[-1])['response']['error']['code']}`"
    if ending.status is None:
        return "as it is"
    reported = reply(CODECS["messages"], error, ending, stream=True)
    return f"{reported.status} `{json.loads(reported.body)['error']['type']}`"


def test_the_table_of_the_page_is_the_table_of_the_code() -> None:
    assert {found[0]: found[1:] for found in ROW.findall(CLIENTS_SEE)} == {
        str(cause): tuple(cell(program, cause) for program in ClientProgram) for cause in CAUSES
    }


def test_the_reasons_of_the_page_are_those_of_the_code() -> None:
    listed = {
        program: {
            cause.strip("`"): why
            for causes, why in REASONS.findall(_section(f"\n{program}:\n"))
            for cause in causes.split(", ")
        }
        for program in (ClientProgram.CLAUDE_CODE, ClientProgram.CODEX)
    }
    assert listed == {
        program: {str(cause): ENDINGS[program][cause].why for cause in CAUSES} for program in listed
    }


def _section(heading: str) -> str:
    _, found, rest = PAGE.partition(heading)
    assert found, heading
    return re.split(r"\n\w[\w ]+:\n", rest)[0]


def test_the_page_names_the_times_of_the_code() -> None:
    assert f"may answer again within {SOON_SECONDS:.0f} s" in CLIENTS_SEE
    assert f"for at most {KEEP_SECONDS:.0f} s" in CLIENTS_SEE


def test_claude_code_is_stopped_by_the_header_wherever_it_gets_a_status() -> None:
    endings = ENDINGS[ClientProgram.CLAUDE_CODE].values()
    assert all(ending.stops_retries for ending in endings if ending.form is Form.ERROR)
