"""The name of the account that runs a command."""

from __future__ import annotations

import os
import pwd


def read_account() -> str:
    """The account's name, behind sudo that of the caller. User names in the environment are not trusted."""
    number = os.environ.get("SUDO_UID", "") if os.getuid() == 0 else ""
    uid = int(number) if number.isdecimal() else os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container an account may lack a name
        return str(uid)
