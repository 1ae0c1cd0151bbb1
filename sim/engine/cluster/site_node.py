"""One node of a cluster: it opens sites, screens and adds their answers, and gives one partial round."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.messages import Task
from server.rounds.round import Adder, Lost, PartialRound
from sim.engine.cluster.site_archive import unpack_site
from sim.engine.memory_link import MemoryLink
from sim.engine.sites import HospitalOpener
from sim.engine.worker import SiteOpener

_LIBRARIES = ("fedceus", "torch", "numpy")
Bytes = npt.NDArray[np.uint8]
"""Bytes as an array, which an object store keeps once for a machine and reads in place."""


def pack_bytes(content: bytes) -> Bytes:
    """Bytes as a read-only array, not copied."""
    return np.frombuffer(content, np.uint8)


def list_versions() -> dict[str, str]:
    """What must be the same on every node."""
    return {name: version(name) for name in _LIBRARIES}


@dataclass(frozen=True)
class NodeFacts:
    """What a node says of itself.

    Args:
        slots: its worker processes.
        sees_folders: whether it shares the hospitals' file system.
    """

    slots: int
    sees_folders: bool
    versions: Mapping[str, str]


@dataclass(frozen=True)
class SiteGroup:
    """Sites that a node may have to answer for.

    Args:
        costs: lesions of every site, for the order of the tasks.
        opener: opens a site; it must be importable on the node.
        marks: files that only a node sees that shares the hospitals' file system.
    """

    costs: Mapping[str, float]
    opener: SiteOpener
    marks: tuple[Path, ...] = ()


class SiteNode:
    """The sites of one node, in worker processes of this process. Any method may be called from another machine."""

    def __init__(self, group: SiteGroup, slots: int) -> None:
        """Start the workers. Hospitals that this node does not see go to a folder of its own disk."""
        torch.set_num_threads(1)  # the same bits as on any other machine
        sees = all(mark.exists() for mark in group.marks)
        self._facts = NodeFacts(slots, sees, list_versions())
        self._scratch = tempfile.TemporaryDirectory(prefix="ceus-hospitals-")
        opener = group.opener
        if isinstance(opener, HospitalOpener) and not sees:
            opener = opener.moved_to(Path(self._scratch.name))
        self._link = MemoryLink(group.costs, opener, slots)

    def describe(self) -> NodeFacts:
        """What this node has."""
        return self._facts

    def receive(self, site: str, archive: Bytes) -> None:
        """Unpack a hospital's folder on this node's disk; one that is there already stays as it is."""
        folder = Path(self._scratch.name) / site
        if not folder.exists():
            unpack_site(archive.tobytes(), folder)

    def gather(self, task: Bytes, screened: Bytes | None, adder: Adder, sites: Sequence[str]) -> PartialRound:
        """What the sites' answers to an encoded task add to the round.

        Args:
            screened: the encoded task of the adder's gate, which lacks its tensors; None for the same task.
        """
        asked = _read_task(task)
        whole = replace(adder, gate=replace(adder.gate, task=asked if screened is None else _read_task(screened)))
        part = PartialRound()
        for site, answer in self._link.ask(asked, sites):
            part.take(site, answer, whole)
        return part

    def ask(self, task: Bytes, sites: Sequence[str]) -> list[tuple[str, Bytes | Lost]]:
        """The sites' answers to an encoded task, encoded; for sums that only the coordinator can open."""
        return [
            (site, answer if isinstance(answer, Lost) else pack_bytes(to_bytes(answer)))
            for site, answer in self._link.ask(_read_task(task), sites)
        ]

    def close(self) -> None:
        """End the workers and remove what was unpacked."""
        self._link.close()
        self._scratch.cleanup()


def _read_task(content: Bytes) -> Task:
    message = decode(content.data)
    if not isinstance(message, Task):
        raise TypeError(f"expected a task, found {type(message).__name__}")
    return message
