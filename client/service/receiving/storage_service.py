"""The service class provider of DICOM storage (PS3.4 B): associations, and what is answered to each object."""

from __future__ import annotations

import logging
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, _config, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from ceus_models.runtime.errors import ExpectedError, is_disk_full
from client.data.forms.receive_form import ReceiveForm, TlsForm
from client.data.imaging.dicom.exam_header import ULTRASOUND_CLASSES
from client.service.receiving.staging import NoRoomError, NoUltrasoundError, StagedStudies

SUCCESS, OUT_OF_RESOURCES, NO_MATCH, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xA900, 0xC000
_REJECTED, _BY_USER, _UNKNOWN_CALLER = 0x01, 0x01, 0x03
_GIB = 1 << 30
_SILENCE_S = 60.0
"""A sender that says nothing for so long is gone."""

Told = Callable[[Mapping[str, object]], None]


@dataclass
class StorageService:
    """What associations bring, kept by `StagedStudies`. Nothing that is told names a patient, a study or a file.

    Attributes:
        told: Called with each event.
    """

    staged: StagedStudies
    told: Told
    _brought: dict[Association, set[str]] = field(default_factory=dict)
    _sizes: dict[Association, int] = field(default_factory=dict)
    _lacking: set[Association] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def limits(self) -> ReceiveForm:
        """The section `receive` of site.yaml."""
        return self.staged.limits

    def request(self, event: Event) -> None:
        """Refuse a title that calls from another address than its own. Titles as such are refused by pynetdicom."""
        association = event.assoc
        asked = association.requestor.primitive
        if asked is None:
            return
        title, address = str(asked.calling_ae_title).strip(), association.requestor.address
        known = [caller for caller in self.limits.callers if caller.title == title]
        right_title = str(asked.called_ae_title).strip() == self.limits.title
        if right_title and any(caller.address in (None, address) for caller in known):
            with self._lock:
                self._brought[association] = set()
            return
        self.told({"event": "refused", "caller": title, "address": address, "known": bool(known), "us": right_title})
        if known and right_title:
            association.acse.send_reject(_REJECTED, _BY_USER, _UNKNOWN_CALLER)
            association.kill()  # it waits until the answer is sent

    def measure(self, event: Event) -> None:
        """Count the bytes of an object while they come, and break off where it is too large."""
        before = self._sizes.get(event.assoc, 0)
        size = self._sizes[event.assoc] = before + int(getattr(event.pdu, "pdu_length", 0) or 0)
        most = self.limits.max_clip_gib * _GIB
        if before <= most < size:
            self.told({"event": "broken off", "why": "an object of more than max_clip_gib"})
            event.assoc.abort()

    def store(self, event: Event) -> int:
        """Keep one object; the status that its sender gets."""
        if self._sizes.pop(event.assoc, 0) > self.limits.max_clip_gib * _GIB:
            return OUT_OF_RESOURCES  # what was broken off came to its end all the same
        try:
            study = self.staged.keep(Path(event.dataset_path))
        except NoUltrasoundError:
            return self._refuse(NO_MATCH, "no ultrasound image of a study")
        except (NoRoomError, OSError) as error:
            self._lacking.add(event.assoc)
            if isinstance(error, NoRoomError):
                return self._refuse(OUT_OF_RESOURCES, "no room: max_gib or min_free_gib")
            if is_disk_full(error):
                return self._refuse(OUT_OF_RESOURCES, "the disk is full")
            return self._refuse(CANNOT_UNDERSTAND, f"the object cannot be written ({error.strerror})")
        with self._lock:
            self._brought.setdefault(event.assoc, set()).add(study)
        return SUCCESS

    def _refuse(self, status: int, why: str) -> int:
        self.told({"event": "object refused", "status": f"{status:04X}", "why": why})
        return status

    def _tell_bug(self, found: threading.ExceptHookArgs) -> None:
        """What ends a thread of an association, as a disk that becomes full while an object comes; never its text."""
        self.told({"event": "trouble", "said": f"an association ended by {found.exc_type.__name__}"})

    def sweep(self) -> list[Path]:
        """Note which associations ended and how, and move whole studies over; where they lie now. Raises OSError."""
        ended: set[str] = set()
        with self._lock:
            for association in [one for one in self._brought if not one.is_alive()]:
                studies = self._brought.pop(association)
                if association.is_released and association not in self._lacking:
                    ended |= studies
                elif studies:
                    why = "objects were refused" if association.is_released else "it broke off"
                    self.told({"event": "not whole", "studies": len(studies), "why": why})
                self._lacking.discard(association)
            for association in [one for one in list(self._sizes) if not one.is_alive()]:
                self._sizes.pop(association, None)  # also of those that were refused
            still_open = {study for studies in self._brought.values() for study in studies}
        self.staged.end(ended - still_open)
        moved = self.staged.finish(still_open)
        if moved:
            self.told({"event": "received", "studies": len(moved), "waiting": self.staged.count_waiting()})
        if dropped := self.staged.drop_old(still_open):
            self.told({"event": "dropped", "studies": dropped, "why": "broke off and were not sent again"})
        return moved

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Serve until the block ends. Raises ExpectedError where the port cannot be had or TLS cannot be set up."""
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # what it logs may quote headers
        _config.STORE_RECV_CHUNKED_DATASET = True  # to a file, so that memory does not grow with an object
        tempfile.tempdir = str(self.staged.incoming)
        threading.excepthook = self._tell_bug
        entity = AE(ae_title=self.limits.title)
        entity.require_called_aet = True
        entity.require_calling_aet = sorted({caller.title for caller in self.limits.callers})
        entity.maximum_associations = self.limits.associations
        entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = _SILENCE_S
        entity.add_supported_context(Verification)
        for storage in ULTRASOUND_CLASSES:
            entity.add_supported_context(storage, ALL_TRANSFER_SYNTAXES)
        handlers: list[Any] = [  # pynetdicom's own type of it changes between versions
            (evt.EVT_REQUESTED, self.request),
            (evt.EVT_PDU_RECV, self.measure),
            (evt.EVT_C_STORE, self.store),
        ]
        secured = None if self.limits.tls is None else make_tls(self.limits.tls, self.staged.folder)
        place = (self.limits.address, self.limits.port)
        try:
            entity.start_server(place, block=False, evt_handlers=handlers, ssl_context=secured)
        except OSError as error:
            raise ExpectedError(
                f"expected to listen at {place[0]}, port {place[1]} ({error.strerror}); state another address or port "
                "under receive in site.yaml, or stop what listens there"
            ) from None
        self.told({"event": "listening", "port": place[1], "tls": secured is not None, "title": self.limits.title})
        try:
            yield
        finally:
            entity.shutdown()
            tempfile.tempdir = None
            threading.excepthook = threading.__excepthook__


def make_tls(form: TlsForm, folder: Path) -> ssl.SSLContext:
    """TLS 1.2 or later (PS3.15 B.9 and B.10). Raises ExpectedError where a file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(folder / form.certificate, folder / form.key)
        if form.authority is not None:
            context.load_verify_locations(folder / form.authority)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise ExpectedError(
            f"the files of tls under receive in site.yaml cannot be used ({type(error).__name__}); name a certificate, "
            "its key and an authority in PEM"
        ) from None
    return context


def receive_until(service: StorageService, arrived: Callable[[list[Path]], bool], stopped: Callable[[], bool]) -> None:
    """Serve until it is stopped, and hand on what arrived, again where `arrived` says that it was not done.

    Raises ExpectedError as `listen`.
    """
    pause, left = min(1.0, service.limits.quiet_s / 2), list[Path]()
    with service.listen():
        while not stopped():
            time.sleep(pause)
            try:
                left += service.sweep()
            except OSError as error:
                service.told({"event": "trouble", "said": f"studies cannot be moved over ({error.strerror})"})
                continue
            if left and arrived(left):
                left = []
