"""The files that make each system start the daemon when the user logs in."""

import re
import shlex
import subprocess
from collections.abc import Sequence
from xml.sax.saxutils import escape

NAME = "switchyard"
LABEL = "local.switchyard.daemon"
DESCRIPTION = "Switchyard, switcher daemon for coding-agent APIs"
REFUSED_SIGNS = re.compile(r"""['"\\$\x00-\x1f]""")
Command = Sequence[str]
"""the program and its arguments"""


def systemd_unit(command: Command, folder: str) -> str:
    """https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html"""
    return f"""[Unit]
Description={DESCRIPTION}
After=network-online.target

[Service]
Type=exec
ExecStart={" ".join(map(_systemd_word, _startable(command)))}
WorkingDirectory={_systemd_path(folder)}
Restart=on-failure
RestartSec=5
TimeoutStopSec=20

[Install]
WantedBy=default.target
"""


def _startable(command: Command) -> Command:
    """systemd refuses some characters in the path of a program, as in /home/o'brien, but not in its arguments."""
    return ("/bin/sh", "-c", 'exec "$0" "$@"', *command) if REFUSED_SIGNS.search(command[0]) else command


def _systemd_word(word: str) -> str:
    """Quoted, with % and $ escaped, which have a meaning in a unit."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return plain if plain and all(sign.isalnum() or sign in "-_./=:,+@%$" for sign in plain) else f'"{plain}"'


def _systemd_path(path: str) -> str:
    # this setting takes the rest of the line literally, quotation marks included
    return path.replace("%", "%%")


def launchd_plist(command: Command, folder: str, log: str) -> str:
    """https://developer.apple.com/library/archive/documentation/MacOSX/Conceptual/BPSystemStartup"""
    words = "\n".join(f"    <string>{escape(word)}</string>" for word in command)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
{words}
  </array>
  <key>WorkingDirectory</key>
  <string>{escape(folder)}</string>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>StandardErrorPath</key>
  <string>{escape(log)}</string>
</dict>
</plist>
"""


def windows_task(command: Command, folder: str, user: str) -> str:
    """https://learn.microsoft.com/windows/win32/taskschd/task-scheduler-schema"""
    return f"""<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>{DESCRIPTION}</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>{escape(user)}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{escape(user)}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>4</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>10</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{escape(command[0])}</Command>
      <Arguments>{escape(subprocess.list2cmdline(command[1:]))}</Arguments>
      <WorkingDirectory>{escape(folder)}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""


def shown(command: Command) -> str:
    """Quoted for a shell."""
    return shlex.join(command)
