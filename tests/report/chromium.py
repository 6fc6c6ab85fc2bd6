"""A real headless Chromium, driven through its DevTools pipe: what a page asks for, says and measures."""

import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PATIENCE = 300.0
"""Seconds after which a browser that hangs is ended, so that a test fails instead of waiting for ever."""
PIPES_TO_3_AND_4 = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


@dataclass
class Page:
    """One browser tab."""

    writer: IO[bytes]
    reader: IO[bytes]
    session: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    last_id: int = 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a DevTools call; events that arrive meanwhile are kept."""
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.writer.write(json.dumps(message).encode() + b"\0")
        self.writer.flush()
        while (answer := self._receive()).get("id") != self.last_id:
            self.events.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self.reader.read(1)) != b"\0":
            assert byte, "chromium closed its pipe"
            data += byte
        message: dict[str, Any] = json.loads(data)
        return message

    def open(self, path: Path, *, width: int, dark: bool) -> None:
        """Load a file in a window of this width and colour scheme; events before it are forgotten."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def console(self) -> list[Any]:
        """Everything the page or the browser wrote to the console, exceptions included."""
        self.evaluate("0")  # what was under way has arrived before the answer
        kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [event["params"] for event in self.events if event.get("method") in kinds]

    def requested(self) -> list[str]:
        """The addresses that the page asked for."""
        self.evaluate("0")
        sent = (event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent")
        return [params["request"]["url"] for params in sent]


@contextmanager
def open_browser(executable: str, profile: Path) -> Iterator[Page]:
    """A browser with one empty tab."""
    commands, results = os.pipe(), os.pipe()
    # Numbers of 10 and above cannot collide with the 3 and 4 that Chromium reads and writes.
    child_ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (commands[0], results[1])]
    for end in (commands[0], results[1]):
        os.close(end)
    argv = [executable, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", PIPES_TO_3_AND_4, *map(str, child_ends), *argv],
        pass_fds=child_ends,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in child_ends:
        os.close(end)
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        with os.fdopen(commands[1], "wb") as writer, os.fdopen(results[0], "rb") as reader:
            page = Page(writer, reader)
            targets = page.call("Target.getTargets")["targetInfos"]
            target = next(info["targetId"] for info in targets if info["type"] == "page")
            page.session = page.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                page.call(f"{domain}.enable")
            yield page
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
