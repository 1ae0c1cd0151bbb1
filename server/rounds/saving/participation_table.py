"""The participation of many rounds in few bytes: the name of every site once, and a bit for each site in each round.

A study of 5,200 sites would otherwise write a megabyte of names more with every checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter

from ceus_models.plan.terms.participation import RoundRecord

_SETS = ("registered", "asked", "answered", "counted", "idle")
_RECORDS = TypeAdapter(tuple[RoundRecord, ...])
_REST: Any = {"__all__": set(_SETS)}


def pack_records(records: Sequence[RoundRecord]) -> dict[str, Any]:
    """The records with their sets of sites as hexadecimal numbers: bit n stands for the n-th of `sites`.

    >>> pack_records([RoundRecord("s", "train", 1, asked=("a", "b"), counted=("b",))])["rounds"][0]["counted"]
    '2'
    """
    sites = sorted({site for record in records for name in _SETS for site in getattr(record, name)})
    bits = {site: 1 << place for place, site in enumerate(sites)}
    known: dict[tuple[str, ...], str] = {}
    rounds = []
    others = _RECORDS.dump_python(tuple(records), mode="json", exclude=_REST)
    for record, plain in zip(records, others, strict=True):
        for name in _SETS:
            members: tuple[str, ...] = getattr(record, name)
            if members not in known:
                known[members] = f"{sum(bits[site] for site in members):x}"
            plain[name] = known[members]
        rounds.append(plain)
    return {"sites": sites, "rounds": rounds}


def unpack_records(packed: object) -> object:
    """What `pack_records` made as records' fields; anything else as it is. Equal sets are one object in memory."""
    if not isinstance(packed, Mapping):
        return packed
    sites: list[str] = packed["sites"]
    known: dict[str, tuple[str, ...]] = {}
    for plain in packed["rounds"]:
        for name in _SETS:
            text = plain[name]
            if text not in known:
                known[text] = _read_bits(text, sites)
            plain[name] = known[text]
    return packed["rounds"]


def _read_bits(text: str, sites: Sequence[str]) -> tuple[str, ...]:
    bits = int(text, 16)
    if bits >> len(sites):
        raise ValueError(f"expected bits of {len(sites)} sites, found more")
    return tuple(site for site, bit in zip(sites, reversed(f"{bits:0{len(sites)}b}"), strict=False) if bit == "1")


Participation = Annotated[
    tuple[RoundRecord, ...], PlainSerializer(pack_records, dict[str, Any]), BeforeValidator(unpack_records)
]
