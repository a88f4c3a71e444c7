"""Check the source: which module may import which modules and libraries, and what tests and pages must not do."""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "switchyard"
STATIC = ROOT / "static"

CODECS = ("anthropic_messages", "openai_chat", "openai_responses")
MODULES = (
    "protocols",
    "suspicion",
    "routing",
    "http1",
    "relay",
    "store",
    "audit",
    "clients",
    "web",
    "demo",
    "importing",
    "autostart",
    "notifications",
)
COMPOSERS = (
    "application",
    "cli",
    "commands",
    "serve",
    "connections",
    "answer_writer",
    "request_cycle",
    "banner",
    "logs",
    "memory",
    "doctor",
    "selftest",
    "client_plans",
    "use_now",
    "installation",
    "environment",
    "bootstrap",
    "__main__",
)
VALUES = (
    "protocols",
    "settings",
    "settings_text",
    "settings_validation",
    "settings_descriptions",
    "default_settings",
    "timeouts",
    "times_of_day",
    "daemon_address",
    "schema",
    "faults",
    "unknown_fields",
    "exchange",
    "suspicion",
    "plural",
)
NETWORK = (
    "httpx",
    "httpx_aiohttp",
    "aiohttp",
    "starlette",
    "uvicorn",
    "requests",
    "urllib.request",
    "http.client",
    "socket",
)
CLOCKS = ("time", "asyncio", "logging", "random", "secrets")


@dataclass(frozen=True)
class Import:
    """One import in the package's source; `module` is the full dotted name, `names` the imported names."""

    path: Path
    line: int
    module: str
    names: tuple[str, ...] = ()
    for_types_only: bool = False

    @property
    def library(self) -> str:
        return self.module.partition(".")[0]

    @property
    def target(self) -> str:
        """The module of Switchyard that it imports from; "" for a library."""
        parts = self.module.split(".")
        if parts[0] != "switchyard":
            return ""
        return parts[1] if len(parts) > 1 else (self.names[0] if self.names else "switchyard")

    def reaches(self, module: str) -> bool:
        mine = (self.module, *(f"{self.module}.{name}" for name in self.names))
        return any(name == module or name.startswith(f"{module}.") for name in mine)

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    return tuple(_imports_in(path, ast.parse(path.read_text(encoding="utf-8"), filename=str(path))))


def _imports_in(path: Path, tree: ast.Module) -> Iterator[Import]:
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name, (), id(node) in typing_only)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            yield Import(path, node.lineno, _absolute(path, node), names, id(node) in typing_only)


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(ROOT).with_suffix("").parts[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def module_of(path: Path) -> str:
    """The folder under `switchyard/`, or the name of a single file there."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def sources(module: str = "") -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if not module or module_of(path) == module]


def imports(module: str) -> list[Import]:
    return [found for path in sources(module) for found in imports_of(path)]


def listed(broken: list[Import], rule: str) -> str:
    return f"{rule}:\n" + "\n".join(f"  {one}" for one in broken)


# --- modules ---------------------------------------------------------------------

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "protocols": ("protocols",),
    "settings": ("protocols",),
    "settings_validation": ("settings", "times_of_day", "faults", "protocols"),
    "default_settings": ("settings", "protocols"),
    "timeouts": ("settings",),
    "times_of_day": (),
    "daemon_address": (),
    "settings_text": ("settings", "faults", "protocols"),
    "settings_descriptions": (),
    "schema": ("protocols", "settings", "settings_descriptions"),
    "faults": ("protocols",),
    "unknown_fields": ("faults",),
    "suspicion": ("suspicion", "protocols"),
    "exchange": ("protocols", "suspicion"),
    "routing": ("routing", *VALUES),
    "http1": (),
    "relay": ("relay", "http1", "routing", *VALUES),
    "audit": ("audit",),
    "notifications": ("notifications", "relay", *VALUES),
    "store": ("store", "audit", "importing", *VALUES),
    "importing": (
        "importing",
        "settings",
        "settings_validation",
        "default_settings",
        "times_of_day",
        "faults",
        "unknown_fields",
        "protocols",
    ),
    "clients": ("clients", "store"),
    "demo": ("demo", "protocols"),
    "autostart": ("autostart", "store"),
    "web": ("web", "relay", "routing", "store", "audit", "clients", "importing", *VALUES),
}


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_a_module_imports_only_the_modules_below_it(module: str) -> None:
    allowed = {"", "switchyard", "VERSION", module, *MAY_IMPORT[module]}
    broken = [found for found in imports(module) if found.target not in allowed and not found.for_types_only]
    assert not broken, listed(broken, f"{module} may import only {', '.join(MAY_IMPORT[module])}")


def test_settings_and_exchange_use_only_the_names_and_values_of_the_protocols() -> None:
    allowed = ("names", "facts", "neutral", "capabilities", "presets")
    broken = [
        found
        for module in ("settings", "settings_validation", "default_settings", "timeouts", "exchange")
        for found in imports(module)
        if found.target == "protocols"
        and not any(found.reaches(f"switchyard.protocols.{name}") for name in allowed)
    ]
    assert not broken, listed(broken, "settings and exchange may use the protocols' names and values only")


@pytest.mark.parametrize("codec", CODECS)
def test_a_codec_knows_no_other_codec(codec: str) -> None:
    others = [other for other in CODECS if other != codec]
    broken = [
        found
        for path in sorted((PACKAGE / "protocols" / codec).rglob("*.py"))
        for found in imports_of(path)
        if any(found.reaches(f"switchyard.protocols.{other}") for other in others)
    ]
    assert not broken, listed(broken, f"{codec} may not know another codec")


@pytest.mark.parametrize("codec", CODECS)
def test_a_codec_does_not_know_another_one_through_a_third_module(codec: str) -> None:
    seen: set[Path] = set()
    waiting = sorted((PACKAGE / "protocols" / codec).rglob("*.py"))
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += [module for found in imports_of(path) for module in _files_of(found)]
    foreign = [path for path in seen for other in CODECS if other != codec and other in path.parts]
    assert not foreign, f"{codec} reaches {', '.join(str(path.relative_to(ROOT)) for path in foreign)}"


def _files_of(found: Import) -> list[Path]:
    """The files of Switchyard that an import loads, without packages."""
    if found.target == "":
        return []
    names = [found.module, *(f"{found.module}.{name}" for name in found.names)]
    return [path for name in names if (path := (ROOT / name.replace(".", "/")).with_suffix(".py")).is_file()]


def test_the_set_up_of_clients_may_only_write_files() -> None:
    broken = [
        found
        for found in imports("clients")
        if found.target not in ("", "clients") and not found.reaches("switchyard.store.files")
    ]
    assert not broken, listed(broken, "clients may import store/files and no other module")


def test_only_app_and_composers_import_composers() -> None:
    broken = [
        found
        for path in sources()
        if module_of(path) not in COMPOSERS
        for found in imports_of(path)
        if found.target in COMPOSERS and not found.for_types_only
    ]
    assert not broken, listed(broken, "the modules may not import what connects them")


def test_every_module_has_a_rule_here() -> None:
    found = {module_of(path) for path in sources()} - {"__init__"}
    unknown = found - {*MODULES, *COMPOSERS, *VALUES}
    assert not unknown, f"tests/test_source_rules.py has no rule for {', '.join(sorted(unknown))}"


# --- libraries -----------------------------------------------------------------

NEVER: dict[str, tuple[str, ...]] = {
    "protocols": (*NETWORK, *CLOCKS, "os", "pathlib", "threading", "subprocess"),
    "suspicion": (*NETWORK, *CLOCKS, "os", "pathlib", "threading", "subprocess"),
    "routing": (*NETWORK, *CLOCKS, "os", "pathlib", "threading", "subprocess"),
    "settings": (*NETWORK, *CLOCKS, "os", "pathlib", "threading", "subprocess"),
    "settings_text": (*NETWORK, *CLOCKS, "os", "pathlib", "threading", "subprocess"),
    "settings_validation": (*NETWORK, *CLOCKS, "os", "pathlib", "threading", "subprocess"),
    "default_settings": (*NETWORK, *CLOCKS, "os", "pathlib", "threading", "subprocess"),
    "timeouts": (*NETWORK, *CLOCKS, "os", "pathlib", "threading", "subprocess"),
    "times_of_day": (*NETWORK, *CLOCKS, "os", "pathlib", "threading", "subprocess"),
    "daemon_address": (*NETWORK, *CLOCKS, "os", "pathlib", "threading", "subprocess"),
    "exchange": (*NETWORK, *CLOCKS, "os", "pathlib", "threading", "subprocess"),
    "http1": ("aiohttp", "starlette", "uvicorn"),
    "relay": ("starlette", "uvicorn"),
    "notifications": NETWORK,
    "audit": (*NETWORK, *CLOCKS, "os", "pathlib", "threading", "subprocess"),
    "store": ("httpx", "aiohttp", "starlette", "uvicorn"),
    "importing": NETWORK,
    "clients": NETWORK,
    "demo": ("httpx", "aiohttp", "uvicorn"),
    "web": ("httpx", "aiohttp", "uvicorn"),
}


@pytest.mark.parametrize("module", NEVER)
def test_a_module_does_not_import_libraries_outside_its_task(module: str) -> None:
    broken = [
        found
        for found in imports(module)
        if any(found.reaches(library) for library in NEVER[module]) and not _is_granted(found)
    ]
    assert not broken, listed(broken, f"{module} may not import these")


GRANTED = {
    ("protocols", "ids.py"): ("random", "secrets"),
}
"""Exceptions: new identifiers need randomness."""


def _is_granted(found: Import) -> bool:
    return found.library in GRANTED.get((module_of(found.path), found.path.name), ())


@pytest.mark.parametrize(
    "module",
    [
        "protocols",
        "routing",
        "settings",
        "settings_validation",
        "default_settings",
        "timeouts",
        "times_of_day",
        "exchange",
    ],
)
def test_time_is_an_argument(module: str) -> None:
    reads = {"now", "utcnow", "today", "time", "monotonic", "perf_counter"}
    broken = [
        f"  {path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for path in sources(module)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in reads
        if ast.unparse(node.func.value) in ("datetime", "date", "time", "datetime.datetime", "datetime.date")
    ]
    assert not broken, f"{module} must receive the time as an argument:\n" + "\n".join(broken)


HTTP_CLIENT_PLACES = ("through_httpx.py",)
"""The transport through SOCKS."""


def test_the_relay_uses_its_http_client_in_one_place() -> None:
    broken = [
        found
        for found in imports("relay")
        if found.library in ("httpx", "httpx_aiohttp", "aiohttp")
        and not set(HTTP_CLIENT_PLACES) & set(found.path.parts)
    ]
    assert not broken, listed(broken, f"only {', '.join(HTTP_CLIENT_PLACES)} may use the HTTP client")


LATE_IMPORTS = {
    ("__main__.py", "switchyard.bootstrap"),
    ("__main__.py", "switchyard.cli"),
    ("bootstrap.py", "switchyard.cli"),
    ("cli.py", "switchyard.serve"),
    ("application.py", "switchyard.demo.app"),
    ("application.py", "switchyard.web.admin"),
    ("application.py", "switchyard.client_plans"),
}
"""Those of the start, of the demo, which follows soon after it, and of the dashboard, which looks for changed files."""


def test_the_package_imports_itself_at_the_start() -> None:
    """An update may replace the files while the daemon runs: a later import would mix two versions."""
    found = {
        (path.name, one.module)
        for path in sources()
        for body in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
        if isinstance(body, ast.FunctionDef | ast.AsyncFunctionDef | ast.If)
        for one in _imports_in(path, ast.Module([*body.body, *getattr(body, "orelse", [])], []))
        if one.module.startswith(PACKAGE.name) and "TYPE_CHECKING" not in ast.unparse(body)
    }
    assert found == LATE_IMPORTS


HTTP1_BORDER = tuple(
    PACKAGE / "relay" / name for name in ("upstream.py", "through_httpx.py", "asgi_transport.py")
)


def test_only_the_border_of_the_relay_imports_http1() -> None:
    broken = [
        found
        for path in sources()
        if module_of(path) != "http1" and path not in HTTP1_BORDER
        for found in imports_of(path)
        if found.target == "http1"
    ]
    assert not broken, listed(broken, "only the files at the border may import switchyard/http1")


BEFORE_THE_PACKAGES = (
    ROOT / "app.py",
    PACKAGE / "bootstrap.py",
    PACKAGE / "environment.py",
    PACKAGE / "installation.py",
)


def test_the_bootstrap_needs_only_the_standard_library_until_its_packages_are_installed() -> None:
    at_once = [
        found
        for path in BEFORE_THE_PACKAGES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for found in imports_of(path)
        if found.line == node.lineno
    ]
    allowed = {f"switchyard.{path.stem}" for path in BEFORE_THE_PACKAGES} | sys.stdlib_module_names
    broken = [found for found in at_once if not {found.module, found.library} & allowed]
    assert at_once and not broken, listed(
        broken, "only the standard library is available before the packages"
    )


def test_importing_a_module_does_nothing() -> None:
    """Module level code consists of definitions and constants."""
    quiet = (
        ast.Import
        | ast.ImportFrom
        | ast.FunctionDef
        | ast.AsyncFunctionDef
        | ast.ClassDef
        | ast.Assign
        | ast.AnnAssign
    )
    broken = []
    for path in [path for path in sources() if path.name != "__main__.py"]:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            is_choice = isinstance(node, ast.If) and all(
                isinstance(inner, ast.Import | ast.ImportFrom) for inner in [*node.body, *node.orelse]
            )
            if not (isinstance(node, quiet) or is_text or is_choice):
                broken.append(f"  {path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)[:80]}")
    assert not broken, "these run when the module is imported:\n" + "\n".join(broken)


def test_every_file_opens_with_its_purpose() -> None:
    undocumented = [
        str(path.relative_to(ROOT))
        for path in [ROOT / "app.py", *sources()]
        if not (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").strip()
    ]
    assert not undocumented, "these files have no docstring: " + ", ".join(undocumented)


# --- the tests -------------------------------------------------------------------

CLOCK_READINGS = {"time.monotonic", "time.perf_counter", "time.time"}
KEEPS_A_TIME = {"min", "max", "sum", "round", "abs", "float"}
"""functions whose result is a time where they are given one"""


def durations_asserted(tree: ast.Module) -> list[int]:
    """The lines that compare durations, in tests that are not marked `timing`."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return sorted(
        {
            line
            for function in functions
            if not any(ast.unparse(mark) == "pytest.mark.timing" for mark in function.decorator_list)
            for line in _durations_in(function)
        }
    )


def _durations_in(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[int]:
    times = _names_of_times(function)
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            for compared in ast.walk(node.test):
                if isinstance(compared, ast.Compare) and any(
                    _is_time(side, times) for side in (compared.left, *compared.comparators)
                ):
                    yield node.lineno


def _names_of_times(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Variables that hold a clock reading, or a list with one."""
    names: set[str] = set()
    in_order = sorted(ast.walk(function), key=lambda node: getattr(node, "lineno", 0))
    for node in in_order:  # so that `seconds = time.monotonic() - began` comes after `began`
        if isinstance(node, ast.Assign) and _is_time(node.value, names):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
            if isinstance(node.func.value, ast.Name) and any(_is_time(one, names) for one in node.args):
                names.add(node.func.value.id)
    return names


def _is_time(value: ast.expr, names: set[str]) -> bool:
    match value:
        case ast.Name(name):
            return name in names
        case ast.BinOp(left, _, right):
            return _is_time(left, names) or _is_time(right, names)
        case ast.Subscript(value=inner):
            return _is_time(inner, names)
        case ast.Call(func, arguments):
            function = ast.unparse(func)
            keeps = function in KEEPS_A_TIME and any(_is_time(one, names) for one in arguments)
            return keeps or function in CLOCK_READINGS
    return False


def test_only_tests_that_run_by_themselves_assert_how_long_something_takes() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("*.py"))}
    broken = [
        f"{path.relative_to(ROOT)}:{line}"
        for path, text in texts.items()
        if any(reading in text for reading in CLOCK_READINGS)
        for line in durations_asserted(ast.parse(text))
    ]
    assert not broken, shown(broken, "on a busy machine these fail; assert what happened, or mark it timing")


@pytest.mark.parametrize(
    ("body", "is_refused"),
    [
        ("assert time.monotonic() - began < 5", True),
        ("seconds = time.perf_counter() - began; assert seconds < 5", True),
        ("taken.append(time.monotonic() - began); assert min(taken) < 5 and ok", True),
        ("seconds = time.time(); assert (answer, seconds > 3) == (1, True)", True),
        ("since = time.monotonic(); assert most_at_once(since=since) == 1", False),
        ("seconds = len(words); assert seconds < 5", False),
    ],
)
def test_such_an_assertion_is_found(body: str, is_refused: bool) -> None:
    began = "began = time.monotonic(); "
    assert durations_asserted(ast.parse(f"def test() -> None: {began}{body}")) == ([1] if is_refused else [])
    marked = f"@pytest.mark.timing\ndef test() -> None: {began}{body}"
    assert durations_asserted(ast.parse(marked)) == []


def test_no_test_leaves_the_waiting_to_a_function_in_the_page() -> None:
    """The page's content policy refuses the text of the function from its second evaluation on."""
    word = "wait_for_" + "function"
    users = [
        path for path in sorted((ROOT / "tests").rglob("*.py")) if word in path.read_text(encoding="utf-8")
    ]
    assert not users, shown([str(path.relative_to(ROOT)) for path in users], "use wait_until")


# --- the dashboard -------------------------------------------------------------

IMPORTED = re.compile(
    r"""\bfrom\s*["'](\.{1,2}/[^"']+)["']|(?:^|\n)\s*import\s*["'](\.{1,2}/[^"']+)["']|\bimport\(\s*["'](\.{1,2}/[^"']+)["']"""
)
COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'])//[^\n]*", re.DOTALL)
BANNED = {
    "innerHTML": "text from outside never becomes markup: use textContent",
    "outerHTML": "text from outside never becomes markup: use textContent",
    "insertAdjacentHTML": "text from outside never becomes markup: use textContent",
    "document.write": "text from outside never becomes markup: use textContent",
    "eval(": "the content policy forbids it",
    "new Function(": "the content policy forbids it",
}


def scripts() -> list[Path]:
    return sorted((STATIC / "js").rglob("*.js"))


def code_of(path: Path) -> str:
    return COMMENT.sub("", path.read_text(encoding="utf-8"))


def modules_imported(path: Path) -> list[Path]:
    return [(path.parent / "".join(found)).resolve() for found in IMPORTED.findall(code_of(path))]


def shown(lines: list[str], rule: str) -> str:
    return f"{rule}:\n" + "\n".join(f"  {line}" for line in lines)


def test_only_the_api_module_sends_requests() -> None:
    requests = re.compile(r"\b(fetch\s*\(|XMLHttpRequest|EventSource|WebSocket|sendBeacon)")
    broken = [
        f"{path.relative_to(ROOT)}: {found[1]}"
        for path in scripts()
        if path.name != "api.js"
        for found in requests.finditer(code_of(path))
    ]
    assert not broken, shown(broken, "only js/api.js may send requests")


def test_panels_do_not_import_panels() -> None:
    panels = STATIC / "js" / "panels"
    broken = [
        f"{path.relative_to(ROOT)} imports {found.name}"
        for path in sorted(panels.glob("*.js"))
        for found in modules_imported(path)
        if found.parent == panels
    ]
    assert not broken, shown(broken, "a panel may not import another panel")


def test_modules_import_what_exists() -> None:
    broken = [
        f"{path.relative_to(ROOT)} imports {found}"
        for path in scripts()
        for found in modules_imported(path)
        if not found.is_file()
    ]
    assert not broken, shown(broken, "imported modules must exist, with their ending")


@pytest.mark.parametrize("word", BANNED)
def test_markup_is_never_made_of_text(word: str) -> None:
    broken = [str(path.relative_to(ROOT)) for path in scripts() if word in code_of(path)]
    assert not broken, shown(broken, f"{word}: {BANNED[word]}")


def test_pages_hold_no_script_no_style_and_nothing_from_elsewhere() -> None:
    inline = re.compile(
        r"<script(?![^>]*\bsrc=)[^>]*>|<style\b|\sstyle=|\son\w+=|(?:src|href)=[\"'](?:https?:)?//",
        re.IGNORECASE,
    )
    broken = [
        f"{path.relative_to(ROOT)}: {found[0].strip()}"
        for path in sorted(STATIC.glob("*.html"))
        for found in inline.finditer(path.read_text(encoding="utf-8"))
    ]
    assert not broken, shown(broken, "pages work offline and under a strict content policy")
