"""The device link: one process, a thread for each device, answers screened and added on the device that made them.

The sites are dealt to the devices by their lesions, the largest first to the device with the least; one that has no
more of its own takes another's, with its images. Nets, images and answers stay on the device: what crosses to the
processor in a round is one total of each device. Sums are whole numbers, so any dealing gives the same total.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import torch

from ceus_models.nets.factory import CPU
from ceus_models.plan.terms.participation import Fate
from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.protocol.sums import ExactSum
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.sample import Sample
from client.worker.tasks.devices.compute_device import ComputeDevice, DeviceError
from server.rounds.round import Adder, Answer, Lost, PartialRound

T = TypeVar("T")


class DeviceSite(Protocol):
    """The part of a site that the link uses."""

    @property
    def samples(self) -> Sequence[Sample]:
        """All lesions of the site."""
        ...

    def handle_at(self, received: ReceivedTask, compute: ComputeDevice) -> Update | Refusal:
        """The answer to a task, worked out on this device."""
        ...


DeviceSiteOpener = Callable[[str], DeviceSite]
"""Opens a site by its name."""


def begin_thread(device: torch.device) -> None:
    """Let a thread compute as a worker process does: the same numbers, and no competition for cores."""
    torch.set_num_threads(1)
    if device.type == "cuda":
        torch.cuda.set_device(device)


@dataclass(eq=False)
class _Worker:
    """A device and its thread, with the round's task and what was added of it there."""

    compute: ComputeDevice
    thread: ThreadPoolExecutor
    received: ReceivedTask | None = None
    part: PartialRound = field(default_factory=PartialRound)

    def list_counted(self) -> list[str]:
        return [site for site, (fate, _) in self.part.fates.items() if fate == "counted"]


class DeviceLink:
    """Threads that hold the sites, one for each device. Use as a context manager, or call `close`."""

    def __init__(
        self,
        costs: Mapping[str, float],
        opener: DeviceSiteOpener,
        devices: Sequence[ComputeDevice],
        say: Callable[[str], None],
    ) -> None:
        """Deal the sites by `costs`, the lesions of each; `say` hears of devices that fail."""
        self._costs, self._opener, self._say = dict(costs), opener, say
        self._workers = [
            _Worker(compute, ThreadPoolExecutor(1, compute.name, begin_thread, (compute.device,)))
            for compute in devices
        ]
        self._failed: list[str] = []
        self._open: dict[str, DeviceSite] = {}
        self._homes: dict[str, _Worker] = {}
        self._deal(self._costs)

    def __enter__(self) -> DeviceLink:
        """The link itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the threads."""
        self.close()

    def sites(self) -> list[str]:
        """All sites, in order."""
        return sorted(self._costs)

    def list_homes(self) -> dict[str, str]:
        """The device of each site, by name."""
        return {site: worker.compute.name for site, worker in self._homes.items()}

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        """The answers in the order in which they arrive, on the processor; for secure sums."""
        for _, site, answer in self._run(task, sites, lambda worker, site: self._answer(worker, site, stays=False)):
            yield site, answer

    def gather(self, task: Task, sites: Sequence[str], adder: Adder) -> Iterator[PartialRound]:
        """Yield the outcome of each site as it comes, then the total of each device.

        Raises:
            ExpectedError: the last device has failed.
        """
        told: dict[str, tuple[Fate, str]] = {}
        left = list(sites)
        while left:
            for worker in self._workers:
                worker.part = PartialRound()
            for worker, site, lost in self._run(task, left, lambda worker, site: self._add(worker, site, adder)):
                fate: tuple[Fate, str] | None = ("lost", lost.reason) if lost else worker.part.fates.get(site)
                if fate is None:
                    yield PartialRound(without_frozen={site})
                elif told.get(site) != fate:  # a device that failed had its answers made again elsewhere
                    told[site] = fate
                    yield PartialRound(fates={site: fate})
            left = []
            for worker in list(self._workers):
                total = self._fetch_total(worker)
                if total is None:
                    left += worker.list_counted()
                else:
                    yield replace(worker.part.drop_outcomes(), total=total)

    def close(self) -> None:
        """End the threads, after the sites that they work on."""
        for worker in self._workers:
            worker.thread.shutdown(cancel_futures=True)

    def _answer(self, worker: _Worker, site: str, stays: bool) -> Answer:
        """Let a site answer; in the device's thread. stays: whether the answer stays on the device."""
        if worker.received is None:
            worker.received = self._received.copy_to(worker.compute.device)
        if site not in self._open:
            try:
                self._open[site] = self._opener(site)
            except ExpectedError as error:
                return Lost(site, str(error))
        few_bytes = worker.received.task.changes is not None  # rounded and packed on the processor
        worker.compute.keeps_answers = stays and not few_bytes
        return self._open[site].handle_at(worker.received, worker.compute)

    def _add(self, worker: _Worker, site: str, adder: Adder) -> None:
        worker.part.take(site, self._answer(worker, site, stays=True), adder)

    def _fetch_total(self, worker: _Worker) -> ExactSum | None:
        """The device's total on the processor; None where the device fails now."""
        try:
            return worker.thread.submit(worker.part.total.to, CPU).result()
        except RuntimeError as error:
            if worker.compute.responds():
                raise
            self._set_aside(worker, error)
            return None

    def _run(
        self, task: Task, sites: Sequence[str], work: Callable[[_Worker, str], T]
    ) -> Iterator[tuple[_Worker, str, T | Lost]]:
        """Yield what each site's work gives as it is done, or that the site is lost; a device has one at a time."""
        self._received = ReceivedTask(task)
        queue, failures = sorted(sites, key=self._order), dict[str, dict[str, str]]()
        pending: dict[Future[T], tuple[_Worker, str]] = {}
        try:
            while queue or pending:
                for worker, site in self._choose_work({worker for worker, _ in pending.values()}, queue, failures):
                    pending[worker.thread.submit(work, worker, site)] = worker, site
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    yield from self._settle(future, *pending.pop(future), queue, failures)
        finally:
            wait(pending)  # the round may have been left early
            for worker in self._workers:
                worker.received = None

    def _settle(
        self, future: Future[T], worker: _Worker, site: str, queue: list[str], failures: dict[str, dict[str, str]]
    ) -> Iterator[tuple[_Worker, str, T | Lost]]:
        """Yield what a site's work gave; where it failed, queue what is asked again, and yield what is lost by it."""
        error = future.exception()
        if error is None:
            yield worker, site, future.result()
            return
        queue += self._note_failure(worker, site, error, failures)
        queue.sort(key=self._order)
        for lost in [one for one in queue if self._is_lost(one, failures)]:
            queue.remove(lost)
            yield worker, lost, Lost(lost, "; ".join(failures[lost].values()))

    def _choose_work(
        self, busy: set[_Worker], queue: list[str], failures: Mapping[str, Mapping[str, str]]
    ) -> list[tuple[_Worker, str]]:
        """Take a site from the queue for each device that has none."""
        free = [worker for worker in self._workers if worker not in busy]
        return [(worker, site) for worker in free if (site := self._choose(worker, queue, failures))]

    def _choose(self, worker: _Worker, queue: list[str], failures: Mapping[str, Mapping[str, str]]) -> str | None:
        """Take the next site for a device from the queue, one of its own where there is one."""
        able = [site for site in queue if worker.compute.name not in failures.get(site, ())]
        if not able:
            return None
        site = next((site for site in able if self._homes[site] is worker), able[0])
        queue.remove(site)
        home, self._homes[site] = self._homes[site], worker
        if home is not worker and home.compute.lesions and site in self._open:
            home.compute.lesions.forget(self._open[site].samples)
        return site

    def _note_failure(
        self, worker: _Worker, site: str, error: BaseException, failures: dict[str, dict[str, str]]
    ) -> list[str]:
        """The sites that are to be asked again elsewhere. Raises `error` where it is not the device's."""
        alive = worker.compute.responds()
        if alive and not isinstance(error, DeviceError):
            raise error
        failures.setdefault(site, {})[worker.compute.name] = str(error)
        if alive:
            return [site]
        self._set_aside(worker, error)
        return [site, *worker.list_counted()]

    def _is_lost(self, site: str, failures: Mapping[str, Mapping[str, str]]) -> bool:
        """Whether a site failed on two devices, or on all."""
        failed = failures.get(site, {})
        return len(failed) > 1 or (bool(failed) and all(one.compute.name in failed for one in self._workers))

    def _set_aside(self, worker: _Worker, error: BaseException) -> None:
        """Go on without a device. Raises ExpectedError where it was the last."""
        self._workers.remove(worker)
        worker.thread.shutdown(wait=False, cancel_futures=True)
        self._failed.append(f"{worker.compute.name} ({type(error).__name__}: {error})")
        if not self._workers:
            raise ExpectedError(
                f"expected a device that computes, all have failed: {', '.join(self._failed)}; look at the driver's "
                "log, then run the same command again, which goes on from the last round"
            )
        moved = [site for site, home in self._homes.items() if home is worker]
        self._deal(moved)
        self._say(f"{self._failed[-1]} has failed; its {len(moved)} sites go to the other devices")

    def _order(self, site: str) -> tuple[float, str]:
        return -self._costs.get(site, 0.0), site

    def _deal(self, sites: Iterable[str]) -> None:
        """Give each site a home, the largest first to the device with the fewest lesions."""
        loads = dict.fromkeys(self._workers, 0.0)
        for site, home in self._homes.items():
            if home in loads:
                loads[home] += self._costs.get(site, 0.0)
        for site in sorted(sites, key=self._order):
            least = min(loads, key=lambda worker: loads[worker])
            self._homes[site] = least
            loads[least] += self._costs.get(site, 0.0)
