"""Answer for the dashboard after an update has replaced Switchyard's files: new files and old code would not fit."""

import msgspec

from switchyard.web.asgi import Scope, Send, header, respond

SENTENCE = "Switchyard's files have changed since it started; restart Switchyard."
CHINESE = "Switchyard 的文件在启动后发生了变化；请重启 Switchyard。"
PAGE = f"""<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>Switchyard</title>
  </head>
  <body>
    <p>{SENTENCE}</p>
    <p lang="zh-CN">{CHINESE}</p>
  </body>
</html>
"""


async def answer_outdated(scope: Scope, send: Send) -> None:
    """The sentence, as a page or as an error of the API."""
    if "text/html" in header(scope, b"accept"):
        kind, body = "text/html; charset=utf-8", PAGE.encode()
    else:
        kind, body = "application/json", msgspec.json.encode({"error": {"message": SENTENCE}})
    headers = [("content-type", kind), ("cache-control", "no-store")]
    await respond(send, 503, headers, body, is_head=scope["method"] == "HEAD")
