"""A compose service without a container engine: its users, mounts, network and command, by the kernel's own means.

For Linux and root. The root file system is a read-only tmpfs that holds the system's programs, Python and this
repository, and what the service mounts; bind mounts are mapped from the places that compose names to folders of a test.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployment_files import PROGRAMS, ROOT, mounts

SYSTEM = ("/usr", "/etc", "/dev", "/proc")
LINKS = ("/bin", "/lib", "/lib64", "/sbin")
ENVIRONMENT = {
    "PATH": f"{PROGRAMS}:/usr/sbin:/usr/bin:/bin",
    "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "HOME": "/tmp",
    "NO_PROXY": "localhost,127.0.0.1",
}


def can_contain() -> bool:
    """Whether this machine lets a process have mounts and a network of its own."""
    tools = all(shutil.which(name) for name in ("unshare", "setpriv", "chroot"))
    command = ["unshare", "--mount", "--net", "mount", "-t", "tmpfs", "none", "/mnt"]
    return tools and subprocess.run(command, capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Contained:
    """One service. sources: compose's place on the host, or the volume's name → a folder of the test."""

    service: Mapping[str, Any]
    sources: Mapping[str, Path]
    root: Path

    def command(self, words: Sequence[str]) -> list[str]:
        """The command line that runs `words` in it."""
        apart = ["--net"] if self.service.get("network_mode") == "none" else []
        return ["unshare", "--mount", "--propagation", "private", *apart, "bash", "-euc", self._script(words)]

    def run(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run them to their end."""
        return subprocess.run(self.command(words), capture_output=True, text=True, timeout=timeout, check=False)

    def _script(self, words: Sequence[str]) -> str:
        user, _, group = self.service["user"].partition(":")
        groups = ",".join(self.service.get("group_add", []))
        identity = ["--reuid", user, "--regid", group, *(["--groups", groups] if groups else ["--clear-groups"])]
        locked = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        settings = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        start = ["chroot", str(self.root), "setpriv", *identity, *locked, "env", "-i", *settings, *words]
        return "\n".join([*self._floor(), *self._mounted(), self._sealed(), f"cd /; exec {shlex.join(start)}"])

    def _floor(self) -> list[str]:
        """What every image has: the system and Python."""
        root = self.root
        lines = [f"mount -t tmpfs -o mode=0755 none {root}"]
        lines += [f"cp -P {link} {root}/" for link in LINKS if Path(link).is_symlink()]
        for folder in (*SYSTEM, sys.base_prefix, sys.prefix, str(ROOT)):
            if not (folder.startswith("/usr/") and folder != "/usr"):
                lines += [f"mkdir -p {root}{folder}", f"mount --rbind {folder} {root}{folder}"]
                lines += [f"mount -o remount,bind,ro {root}{folder}"] if folder not in ("/dev", "/proc") else []
        return lines

    def _mounted(self) -> list[str]:
        """What the service mounts, outer places first."""
        lines = []
        for place, mount in sorted(mounts(self.service).items(), key=lambda item: item[0].count("/")):
            named = mount.get("source", "")
            target, source = f"{self.root}{place}", self.sources.get(named, Path(named))  # else the host's own
            made = f"mkdir -p {Path(target).parent}; touch {target}" if source.is_file() else f"mkdir -p {target}"
            lines.append(f"[ -e {target} ] || {{ {made}; }}")
            if mount["type"] == "tmpfs":
                lines.append(f"mount -t tmpfs -o {_options(mount)} none {target}")
            else:
                lines.append(f"mount --bind {source} {target}")
            if mount.get("read_only"):
                lines.append(f"mount -o remount,bind,ro {target}")
        return lines

    def _sealed(self) -> str:
        return f"mount -o remount,ro {self.root}" if self.service["read_only"] else "true"


def _options(mount: Mapping[str, Any]) -> str:
    """Of a tmpfs, in the short form of compose or in the long one."""
    if "options" in mount:
        return str(mount["options"].partition(":")[2])
    return f"size={mount['tmpfs']['size']},mode={int(str(mount['tmpfs']['mode']), 0):o}"
