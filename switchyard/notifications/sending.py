"""Deliver one notification: by POST, or to a command. Errors are values: a sentence without secrets."""

import asyncio
import os
from contextlib import suppress
from urllib.parse import urlsplit

from switchyard.notifications.events import Event
from switchyard.notifications.message import json_of, post_of, variables_of
from switchyard.relay.failures import AttemptFailed
from switchyard.relay.headers import OUR_USER_AGENT
from switchyard.relay.simulate import SimulatingWire
from switchyard.relay.upstream import Call
from switchyard.settings import Notify

CONNECT_SECONDS = 10.0
POST_SECONDS = 20.0
COMMAND_SECONDS = 30.0
NO_WAY = "`notify` has neither a url nor a command"


async def deliver(wire: SimulatingWire, notify: Notify, event: Event, at: float) -> str:
    """Why the notification did not arrive; "" if it did, in every way that is set."""
    if not (notify.url or notify.command):
        return NO_WAY
    ways = []
    if notify.url:
        ways.append(_posted(wire, notify.url, event, at))
    if notify.command:
        ways.append(_commanded(notify.command, event, at))
    return "; ".join(why for why in await asyncio.gather(*ways) if why)


async def _posted(wire: SimulatingWire, url: str, event: Event, at: float) -> str:
    post, host = post_of(url, event, at), urlsplit(url).hostname
    headers = [("content-type", "application/json"), ("user-agent", OUR_USER_AGENT)]
    try:
        async with asyncio.timeout(POST_SECONDS):
            reply = await wire.send(Call(post.url, headers, post.body, CONNECT_SECONDS))
            await reply.close()
    except AttemptFailed as failed:
        return f"{host}: {failed.failure.message}"
    except TimeoutError:
        return f"{host} has not answered for {POST_SECONDS:g} s"
    return "" if 200 <= reply.status < 300 else f"{host} answered {reply.status}"


async def _commanded(command: tuple[str, ...], event: Event, at: float) -> str:
    """No shell is involved: the arguments are those of the settings, the event comes on standard input."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, **variables_of(event)},
        )
    except (OSError, ValueError) as error:
        return f"the command does not start ({getattr(error, 'strerror', None) or error})"
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            await process.communicate(json_of(event, at))
    except TimeoutError:
        return f"the command has not ended after {COMMAND_SECONDS:g} s"
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return f"the command ended with {process.returncode}" if process.returncode else ""
