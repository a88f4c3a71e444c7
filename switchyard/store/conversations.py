"""The conversations of a span of days and the projects that they belong to, from the totals by day."""

import msgspec

from switchyard.store.cell import MAX_KEYS_OF_SPAN, OTHER, Cell, Cells, Talk, cell_of
from switchyard.store.stats import Statistics

SHOWN = 200


class Conversation(msgspec.Struct, frozen=True):
    """`talk` is empty for the conversations that a day counts together."""

    session: str
    cell: Cell
    talk: Talk


class Project(msgspec.Struct, frozen=True):
    """The sums of a working directory; "" for what states none."""

    project: str
    cell: Cell
    talk: Talk
    conversations: int


class Conversations(msgspec.Struct, frozen=True):
    """The newest conversations, the projects with the highest cost first, and how many there were of each."""

    conversations: list[Conversation]
    projects: list[Project]
    count: int
    project_count: int


class TalksOfDay(msgspec.Struct):
    """What is decoded of a day."""

    sessions: Cells = {}
    talks: dict[str, Talk] = {}


def conversations(statistics: Statistics, start: str = "", end: str = "", project: str = "") -> Conversations:
    """Of a span of local days, both included; with `project`, only its conversations."""
    cells: Cells = {}
    talks: dict[str, Talk] = {}
    for _, part in statistics.parts(TalksOfDay, start, end):
        for session, cell in part.sessions.items():
            cell_of(cells, session, MAX_KEYS_OF_SPAN).merge(cell)
        for session, talk in part.talks.items():
            talks.setdefault(session, Talk()).merge(talk)
    found = [Conversation(session, cell, talks.get(session, Talk())) for session, cell in cells.items()]
    projects = _projects(found)
    wanted = [one for one in found if not project or one.talk.project == project]
    wanted.sort(key=lambda one: one.talk.ended, reverse=True)
    return Conversations(wanted[:SHOWN], projects[:SHOWN], len(wanted), len(projects))


def _projects(found: list[Conversation]) -> list[Project]:
    sums: dict[str, tuple[Cell, Talk, int]] = {}
    for one in found:
        cell, talk, count = sums.get(one.talk.project, (Cell(), Talk(), 0))
        cell.merge(one.cell)
        if one.session != OTHER:
            talk.merge(one.talk)
        sums[one.talk.project] = cell, talk, count + 1
    projects = [Project(name, cell, talk, count) for name, (cell, talk, count) in sums.items()]
    return sorted(projects, key=lambda one: (-one.cell.cost, -one.cell.total))
