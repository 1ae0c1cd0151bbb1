"""Whose hands these are."""

from __future__ import annotations

import os
import pwd


def account() -> str:
    """The account, behind sudo the one that called it. Names in the environment do not count."""
    number = os.environ.get("SUDO_UID", "") if os.getuid() == 0 else ""
    uid = int(number) if number.isdecimal() else os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container an account may have no name
        return str(uid)
