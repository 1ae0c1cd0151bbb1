from __future__ import annotations

import pytest
import torch

from ceus_models.runtime.errors import ExpectedError
from sim.engine.open_devices import open_devices, parse_devices, parse_node_devices


def test_auto_is_every_card_that_torch_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert parse_devices("auto") == ("cuda:0", "cuda:1")
    assert parse_devices("cuda:1,cpu:0") == ("cuda:1", "cpu:0")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert parse_devices("auto") == ()


@pytest.mark.parametrize(
    ("text", "rule"),
    [("gpu", "as cuda:0"), ("cpu:0,cpu:0", "'cpu:0'"), ("", "as cuda:0"), ("cuda:3", "torch sees 2; correct")],
)
def test_devices_that_are_none_are_an_error(text: str, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(ExpectedError, match=rule):
        parse_devices(text)


def test_cards_of_a_cluster_are_the_clusters_to_give() -> None:
    assert parse_node_devices("auto") == ()
    assert parse_node_devices("cpu:0,cpu:1") == ("cpu:0", "cpu:1")
    with pytest.raises(ExpectedError, match="expected --devices auto with --link ray, found cuda:0"):
        parse_node_devices("cuda:0")


def test_processors_are_one_device_to_torch_with_a_memory_of_what_fits_each() -> None:
    one, other = open_devices(("cpu:0", "cpu:1"), print)
    assert one.device == other.device == torch.device("cpu")
    assert (one.name, other.name) == ("cpu:0", "cpu:1")
    assert one.limits is not other.limits
    assert one.lesions is not other.lesions
