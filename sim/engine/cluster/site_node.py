"""One node of a cluster: it opens sites, screens and adds their answers, and gives one partial round."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch

from ceus_models.plan.plan import Plan
from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.messages import Task
from server.rounds.round import Adder, Lost, PartialRound
from sim.engine.cluster.site_archive import unpack_site
from sim.engine.device_link import DeviceLink, DeviceSiteOpener
from sim.engine.device_memory import prepare_devices
from sim.engine.memory_link import MemoryLink
from sim.engine.open_devices import open_devices, parse_devices
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
        slots: its worker processes, or devices.
        sees_folders: whether it shares the hospitals' file system.
        notes: sentences about its devices.
    """

    slots: int
    sees_folders: bool
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeviceUse:
    """Devices that answer on the nodes, in place of worker processes.

    Args:
        plan: whose nets must fit into their memory.
        names: of each node's devices; () for all graphics cards that Ray knows of.
        compiled: whether nets are compiled.
    """

    plan: Plan
    names: tuple[str, ...] = ()
    compiled: bool = False


@dataclass(frozen=True)
class SiteGroup:
    """Sites that a node may have to answer for.

    Args:
        costs: lesions of every site, for the order of the tasks.
        opener: opens a site; it must be importable on the node, and give a `DeviceSite` where devices answer.
        marks: files that only a node sees that shares the hospitals' file system.
        devices: that answer in place of worker processes, if any.
    """

    costs: Mapping[str, float]
    opener: SiteOpener
    marks: tuple[Path, ...] = ()
    devices: DeviceUse | None = None


class NodeReply(NamedTuple):
    """What a node's sites gave, and sentences about its devices since its last reply."""

    found: Any
    notes: tuple[str, ...]


class SiteNode:
    """The sites of one node, in worker processes or on devices. Any method may be called from another machine."""

    def __init__(self, group: SiteGroup, slots: int, devices: Sequence[str] = (), nodes: int = 1) -> None:
        """Start the workers. Hospitals that this node does not see go to a folder of its own disk.

        Args:
            group: the sites.
            slots: worker processes, or the number of devices.
            devices: that answer in place of worker processes.
            nodes: that share the sites.

        Raises:
            ExpectedError: a device is not there, or too small for the plan.
        """
        torch.set_num_threads(1)  # the same bits as on any other machine
        sees = all(mark.exists() for mark in group.marks)
        self._notes: list[str] = []
        self._scratch = tempfile.TemporaryDirectory(prefix="ceus-hospitals-")
        opener = group.opener
        if isinstance(opener, HospitalOpener) and not sees:
            opener = opener.moved_to(Path(self._scratch.name))
        self._link = (
            self._open_devices(replace(group, opener=opener), devices, nodes)
            if devices
            else MemoryLink(group.costs, opener, slots)
        )
        self._facts = NodeFacts(slots, sees, list_versions(), self._take_notes())

    def describe(self) -> NodeFacts:
        """What this node has."""
        return self._facts

    def receive(self, site: str, archive: Bytes) -> None:
        """Unpack a hospital's folder on this node's disk; one that is there already stays as it is."""
        folder = Path(self._scratch.name) / site
        if not folder.exists():
            unpack_site(archive.tobytes(), folder)

    def gather(self, task: Bytes, screened: Bytes | None, adder: Adder, sites: Sequence[str]) -> NodeReply:
        """What the sites' answers to an encoded task add to the round.

        Args:
            screened: the encoded task of the adder's gate, which lacks its tensors; None for the same task.

        Returns:
            A partial round.
        """
        asked = _read_task(task)
        whole = replace(adder, gate=replace(adder.gate, task=asked if screened is None else _read_task(screened)))
        part = PartialRound()
        for added in self._link.gather(asked, sites, whole):
            part.merge(added)
        return NodeReply(part, self._take_notes())

    def ask(self, task: Bytes, sites: Sequence[str]) -> NodeReply:
        """The sites and their answers to an encoded task, encoded; for sums that only the coordinator can open."""
        answers: list[tuple[str, Bytes | Lost]] = [
            (site, answer if isinstance(answer, Lost) else pack_bytes(to_bytes(answer)))
            for site, answer in self._link.ask(_read_task(task), sites)
        ]
        return NodeReply(answers, self._take_notes())

    def close(self) -> None:
        """End the workers and remove what was unpacked."""
        self._link.close()
        self._scratch.cleanup()

    def _open_devices(self, group: SiteGroup, names: Sequence[str], nodes: int) -> DeviceLink:
        use, lesions = group.devices, round(sum(group.costs.values()) / nodes)
        if use is None:
            raise TypeError("expected a plan for devices")
        devices = open_devices(parse_devices(",".join(names)), self._notes.append, use.compiled)
        prepare_devices(use.plan, devices, lesions, self._notes.append)
        return DeviceLink(group.costs, cast(DeviceSiteOpener, group.opener), devices, self._notes.append)

    def _take_notes(self) -> tuple[str, ...]:
        taken, self._notes[:] = tuple(self._notes), []
        return taken


def _read_task(content: Bytes) -> Task:
    message = decode(content.data)
    if not isinstance(message, Task):
        raise TypeError(f"expected a task, found {type(message).__name__}")
    return message
