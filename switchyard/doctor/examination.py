"""Run all checks in order, and fix what can be fixed safely."""

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from switchyard.doctor.clients import examine_claude, examine_codex, examine_others
from switchyard.doctor.daemon import examine_folder, examine_port, examine_python
from switchyard.doctor.finding import DoctorInputs, Examination, Finding
from switchyard.doctor.upstreams import examine_upstreams

EXAMINATIONS: tuple[tuple[str, Examination], ...] = (
    ("Python", examine_python),
    ("settings", examine_folder),
    ("port", examine_port),
    ("Claude Code", examine_claude),
    ("Codex", examine_codex),
    ("other clients", examine_others),
    ("upstreams", examine_upstreams),
)
EXIT_CODES = {"ok": 0, "warning": 0, "fault": 1}


def examine(inputs: DoctorInputs, progress: Callable[[str], None]) -> Iterator[Finding]:
    """The findings as they are made; `progress` receives the name of each check."""
    for name, examination in EXAMINATIONS:
        progress(name)
        yield from examination(inputs)


def repaired(finding: Finding) -> Finding:
    """The finding after its repair; one without a repair is unchanged."""
    if finding.repair is None:
        return finding
    try:
        finding.repair()
    except Exception as error:  # a failed repair is reported in its finding, and the next one is tried
        return replace(finding, fix=f"{finding.fix} (could not be repaired: {error})", repair=None)
    return Finding("ok", finding.subject, f"repaired: {finding.text}")


def exit_code(findings: Sequence[Finding]) -> int:
    """0 if clients can work; 1 if an error prevents it."""
    return max((EXIT_CODES[finding.level] for finding in findings), default=0)
