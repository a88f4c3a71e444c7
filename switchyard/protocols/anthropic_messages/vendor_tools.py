"""The tools of the vendor's own making, for models that do not know them.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview
"""

import re
from collections.abc import Mapping

from switchyard.protocols.tools.schema import STRING, object_of
from switchyard.protocols.wire import Json

VERSION = re.compile(r"_20\d{6}$")
"""Tools of the vendor's own making carry a date: `bash_20250124`."""

PATH = {"type": "string", "description": "Absolute path of a file or directory."}


CLIENT_TOOLS: Mapping[str, tuple[str, Json]] = {
    "bash": (
        "Runs a command in a persistent bash session and returns its output.",
        object_of(
            command={"type": "string", "description": "The command to run; required unless restarting."},
            restart={"type": "boolean", "description": "True restarts the session."},
        ),
    ),
    "text_editor": (
        "Views, creates and edits text files.",
        object_of(
            *("command", "path"),
            command={"type": "string", "enum": ["view", "create", "str_replace", "insert", "undo_edit"]},
            path=PATH,
            file_text={"type": "string", "description": "For create: the whole content."},
            old_str={"type": "string", "description": "For str_replace: the exact, unique text to replace."},
            new_str={"type": "string", "description": "For str_replace and insert: the new text."},
            insert_line={"type": "integer", "description": "For insert: the line after which to insert."},
            insert_text={"type": "string", "description": "For insert: the text to insert."},
            view_range={
                "type": "array",
                "items": {"type": "integer"},
                "description": "For view: first and last line, -1 for the end.",
            },
        ),
    ),
    "memory": (
        "Reads and changes files under /memories, which outlive this conversation.",
        object_of(
            "command",
            command={
                "type": "string",
                "enum": ["view", "create", "str_replace", "insert", "delete", "rename"],
            },
            path=PATH,
            file_text=STRING,
            old_str=STRING,
            new_str=STRING,
            insert_line={"type": "integer"},
            insert_text=STRING,
            old_path=STRING,
            new_path=STRING,
            view_range={"type": "array", "items": {"type": "integer"}},
        ),
    ),
}
"""Tools that the client runs but whose schema only the vendor's models know."""

NOT_EXPRESSIBLE = frozenset({"computer", "computer_toolset", "browser_toolset"})
"""Client tools that no description can explain to another vendor's model."""

UNNEEDED = frozenset({"tool_search_tool_regex", "tool_search_tool_bm25"})
"""They find deferred tools; here all tools are declared at once."""
