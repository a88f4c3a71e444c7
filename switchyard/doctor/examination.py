"""Examine everything in order, and repair what can be repaired safely."""

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from switchyard.doctor.clients import examine_claude, examine_codex
from switchyard.doctor.daemon import examine_folder, examine_port, examine_python
from switchyard.doctor.finding import Examination, Finding, Patient
from switchyard.doctor.upstreams import examine_upstreams

EXAMINATIONS: tuple[tuple[str, Examination], ...] = (
    ("Python", examine_python),
    ("settings", examine_folder),
    ("port", examine_port),
    ("Claude Code", examine_claude),
    ("Codex", examine_codex),
    ("upstreams", examine_upstreams),
)
EXIT_CODES = {"ok": 0, "warning": 0, "fault": 1}


def examine(patient: Patient, progress: Callable[[str], None]) -> Iterator[Finding]:
    """The findings as they come; `progress` is told what is looked at."""
    for name, examination in EXAMINATIONS:
        progress(name)
        yield from examination(patient)


def repaired(finding: Finding) -> Finding:
    """The finding after its repair; one without stays as it is."""
    if finding.repair is None:
        return finding
    try:
        finding.repair()
    except Exception as error:  # a repair that fails is told like any finding, the next one is tried
        return replace(finding, fix=f"{finding.fix} (could not be repaired: {error})", repair=None)
    return Finding("ok", finding.subject, f"repaired: {finding.text}")


def exit_code(findings: Sequence[Finding]) -> int:
    """0 if clients can work; 1 if something keeps them from it."""
    return max((EXIT_CODES[finding.level] for finding in findings), default=0)
