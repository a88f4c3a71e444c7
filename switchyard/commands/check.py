"""`check`: is the settings file valid?"""

import argparse

from switchyard.commands.command import Command, loaded, no_arguments


def check(arguments: argparse.Namespace) -> int:
    settings_file = loaded(arguments)
    if settings_file is None:
        return 1
    for warning in settings_file.warnings:
        print(f"note: {warning}")
    settings = settings_file.settings
    print(
        f"{settings_file.path}: valid, {len(settings.upstreams)} upstreams, {len(settings.model_rules)} model rules"
    )
    return 0


CHECK = Command("validate the settings file and list every fault", no_arguments, check)
