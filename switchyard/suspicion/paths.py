"""Which files hold keys, and which ones are run by themselves."""

import re

from switchyard.protocols.late_pattern import late

MAX_PATH = 4096
"""no system opens longer ones"""
HOME = late(
    r"^(?:~[\w.-]*|\$HOME|\$\{HOME\}|/home/[^/]+|/Users/[^/]+|/root|\$env:USERPROFILE|%USERPROFILE%|[A-Za-z]:/Users/[^/]+)(?=/|$)"
)
SAMPLE = late(r"\.(?:example|sample|template|tmpl|dist|defaults?|schema|md|pub|ts|js|py|go|rs)(?:\.\w+)?$")
KEY_FILES: tuple[re.Pattern[str], ...] = tuple(
    late(pattern)
    for pattern in (
        r"(?:^|/)(\.ssh/(?:id_[^/]*|\*|[^/*]*\*[^/]*|[^/]*_rsa|[^/]*\.pem|[^/]*key)?)$",
        r"(?:^|/)(id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?)$",
        r"(?:^|/)(\.ssh)$",
        r"(?:^|/)(\.env(?:\.[\w-]+)*)$",
        r"(?:^|/)(\.aws(?:/(?:credentials|config|sso/.*|cli/.*|\*))?)$",
        r"(?:^|/)((?:\.config/)?gcloud(?:/(?:application_default_credentials\.json|[^/]*\.db|legacy_credentials.*|\*))?)$",
        r"(?:^|/)(\.azure(?:/(?:accessTokens\.json|msal_token_cache.*|azureProfile\.json|\*))?)$",
        r"(?:^|/)(\.kube(?:/(?:config|\*))?)$",
        r"(?:^|/)(\.docker/config\.json)$",
        r"^~/(\.(?:npmrc|pypirc|netrc|git-credentials|vault-token|pgpass|my\.cnf|terraform\.d/credentials\.tfrc\.json))$",
        r"(?:^|/)(\.(?:netrc|git-credentials|vault-token|pgpass))$",
        r"(?:^|/)(\.config/(?:gh(?:/hosts\.yml)?|hub|github-copilot(?:/.*)?|op(?:/.*)?|rclone/rclone\.conf|solana/id\.json))$",
        r"(?:^|/)(\.gnupg(?:/.*)?)$",
        r"(?:^|/)(\.claude/\.credentials\.json)$",
        r"(?:^|/)(\.codex/auth\.json)$",
        r"(?:^|/)(\.gemini/oauth_creds\.json)$",
        r"(?:^|/)(opencode/auth\.json|\.qwen/oauth_creds\.json|\.continue/config\.(?:json|yaml)|\.aider\.conf\.yml)$",
        r"(?:^|/)(json_data/(?:all_configs\.json|admin_token|history/.*))$",
        r"^(/etc/(?:shadow|sudoers|ssh/ssh_host_[^/]*_key))$",
        r"^(/proc/(?:self|\d+|\*|\$+\w*)/environ)$",
        r"(?:^|/)((?:Login Data|Cookies|key4\.db|logins\.json|wallet\.dat|login\.keychain(?:-db)?))$",
        r"(?:^|/)((?:service[-_]account|client_secret)[\w.-]*\.json)$",
    )
)
STARTUP_FILES: tuple[re.Pattern[str], ...] = tuple(
    late(pattern)
    for pattern in (
        r"(?:^|/)\.(?:bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zshenv|zprofile|zlogin|kshrc|xprofile|xinitrc)$",
        r"(?:^|/)\.config/fish/(?:config\.fish|conf\.d/.*)$",
        r"^/etc/(?:profile|bash\.bashrc|zsh/.*|profile\.d/.*|cron.*|rc\.local|ld\.so\.preload)",
        r"(?:^|/)(?:\.git|\.githooks|\.husky)/(?:hooks/)?[^/.]+$",
        r"(?:^|/)\.config/(?:systemd/user|autostart)/",
        r"^/etc/systemd/|(?:^|/)Library/Launch(?:Agents|Daemons)/",
        r"(?:^|/)(?:Microsoft\.PowerShell_profile|profile)\.ps1$",
        r"(?:^|/)Startup/[^/]+\.(?:bat|cmd|ps1|vbs|lnk)$",
        r"(?:^|/)\.vscode/(?:tasks|settings)\.json$",
        r"(?:^|/)\.claude/settings(?:\.local)?\.json$|(?:^|/)\.mcp\.json$|(?:^|/)\.codex/config\.toml$",
        r"(?:^|/)package\.json$",
        r"(?:^|/)(?:(?:pre|post)-(?:commit|checkout|push|merge|rebase|rewrite|receive)|(?:prepare-)?commit-msg)$",
        r"(?:^|/)\.envrc$",
        r"(?:^|/)\.ssh/(?:rc|config)$|(?:^|/)\.gitconfig$|(?:^|/)\.git/config$",
        r"(?:^|/)(?:sitecustomize|usercustomize)\.py$|(?:^|/)[^/]+\.pth$",
    )
)
GIVES_ACCESS = late(r"(?:^|/)\.ssh/authorized_keys2?$|^/etc/(?:sudoers|sudoers\.d/.*|passwd|shadow)$")
SCRIPT = late(r"\.(?:sh|bash|zsh|fish|ps1|bat|cmd)$")


def normal_path(path: str) -> str:
    """With slashes, `~` for any home folder, and without what changes nothing; "" for what can be no path."""
    if len(path) > MAX_PATH:
        return ""
    path = path.strip().strip("\"'").replace("\\", "/").removeprefix("file://")
    path = re.sub(r"/(?:\./)+|//+", "/", path).removeprefix("./")
    path = HOME.sub("~", path)
    return _without_parents(path) if "/../" in path else path


def _without_parents(path: str) -> str:
    """`a/../b` is `b`."""
    kept: list[str] = []
    for name in path.split("/"):
        if name == ".." and kept and kept[-1] not in ("", ".."):
            kept.pop()
        else:
            kept.append(name)
    return "/".join(kept)


def key_file(path: str) -> str:
    """The part of the path that names a file or folder with keys; "" if it is none."""
    path = normal_path(path)
    if SAMPLE.search(path):
        return ""
    path = path.rstrip("/") if path.endswith("/") else path
    return next((found[1] for pattern in KEY_FILES if (found := pattern.search(path))), "")


def runs_by_itself(path: str) -> bool:
    """True for files that a shell, a scheduler, an editor or a package manager runs without being asked."""
    path = normal_path(path)
    return any(pattern.search(path) for pattern in STARTUP_FILES)


def gives_access(path: str) -> bool:
    """True for files that decide who may enter this machine."""
    return GIVES_ACCESS.search(normal_path(path)) is not None


def is_script(path: str) -> bool:
    return SCRIPT.search(path) is not None
