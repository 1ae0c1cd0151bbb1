from __future__ import annotations

import pytest
import torch
from toy_lesions import lesions

from ceus_models.nets.image_stacks import stack_images
from client.worker.tasks.devices.resident_lesions import ResidentLesions, count_image_bytes

CPU, ELSEWHERE = torch.device("cpu"), torch.device("meta")


def test_a_stack_is_that_of_the_samples_and_each_is_brought_once() -> None:
    held, cases = ResidentLesions(CPU, print), lesions(5)
    for chosen in (cases, cases[::-1], [cases[2], cases[2]]):
        for found, expected in zip(held.stack(chosen, CPU), stack_images(chosen, CPU), strict=True):
            assert found.dtype == expected.dtype
            assert torch.equal(found, expected)
    assert held.used_bytes == sum(map(count_image_bytes, cases))
    held.forget(cases[:2])
    held.forget(cases[:2])
    assert held.used_bytes == sum(map(count_image_bytes, cases[2:]))


def test_lesions_beyond_the_budget_are_brought_for_every_batch_and_that_is_said_once() -> None:
    cases, said = lesions(5), list[str]()
    held = ResidentLesions(ELSEWHERE, said.append, 2.5 * count_image_bytes(cases[0]))
    for _ in range(2):
        frames, flow = held.stack(cases, ELSEWHERE)
        assert frames.shape == (5, 5, 16, 16)
        assert flow.shape == (5, 3, 2, 16, 16)
        assert held.used_bytes == 2 * count_image_bytes(cases[0])
    assert len(said) == 1
    assert "2 lesions fill" in said[0]
    held.forget(cases)
    assert held.used_bytes == 0


def test_images_of_another_device_are_an_error() -> None:
    with pytest.raises(ValueError, match="expected images for meta"):
        ResidentLesions(ELSEWHERE, print).stack(lesions(1), CPU)


@pytest.mark.gpu
def test_images_on_a_card_are_those_of_the_samples() -> None:
    card, cases = torch.device("cuda:0"), lesions(4)
    for budget in (0.0, 1e9):
        held = ResidentLesions(card, print, budget)
        for found, expected in zip(held.stack(cases, card), stack_images(cases, CPU), strict=True):
            assert torch.equal(found.cpu(), expected)
