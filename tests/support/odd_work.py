"""Work for processes that goes wrong in every way; a module of its own, so that workers can import it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

SECRET = "Zhangwei"


def do(item: str) -> str:
    """What an item asks for: to double it, fail, crash, hang or grow."""
    if item == "fail":
        raise KeyError(SECRET)
    if item == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "exit":
        os._exit(3)
    if item == "hang":
        time.sleep(600)
    if item == "grow":
        hold = [bytearray(8 << 20) for _ in range(60)]
        time.sleep(600)
        return str(len(hold))
    if item == "huge":
        return str(len(bytearray(1 << 60)))
    if item == "noisy":
        os.write(1, SECRET.encode())
        os.write(2, SECRET.encode())
    if item.startswith("tell "):
        Path(item.removeprefix("tell ")).write_text(str(os.getpid()))
        time.sleep(600)
    return item * 2


def not_importable(_: str) -> str:
    """Stands for work that a new process cannot load."""
    return ""
