"""One study after the other, as it is ordered."""

from __future__ import annotations

from pathlib import Path

import pytest

from ceus_models.runtime.errors import ExpectedError
from server.run_folder.orders import (
    Order,
    State,
    find_predecessor,
    is_under_way,
    order_run,
    order_stop,
    read_order,
    write_state,
)
from server.run_folder.paths import Home, StudyFolder


@pytest.fixture
def studies(tmp_path: Path) -> tuple[StudyFolder, StudyFolder, StudyFolder]:
    home = Home(tmp_path)
    return StudyFolder(home, "a"), StudyFolder(home, "b"), StudyFolder(home, "c")


def end(study: StudyFolder) -> None:
    order = read_order(study)
    assert order is not None
    write_state(study, State(order=order.id, phase="failed"))


def test_a_study_waits_as_long_as_the_other_is_under_way(studies: tuple[StudyFolder, StudyFolder, StudyFolder]) -> None:
    first, second, _ = studies
    assert not is_under_way(first)
    order_run(second, after="a")
    assert find_predecessor(second) is None, "nothing to wait for"
    order_run(first)
    assert find_predecessor(second) == first
    end(first)
    assert find_predecessor(second) is None
    assert find_predecessor(first) is None


def test_who_orders_again_keeps_the_order_and_what_it_waits_for(
    studies: tuple[StudyFolder, StudyFolder, StudyFolder],
) -> None:
    first, second, _ = studies
    order_run(first)
    order = order_run(second, after="a")
    assert order_run(second) == order == Order(id=order.id, wanted="run", after="a")
    order_stop(second, at_once=False)
    assert find_predecessor(second) is None, "a stop waits for nobody"


def test_a_circle_is_refused(studies: tuple[StudyFolder, StudyFolder, StudyFolder]) -> None:
    first, second, third = studies
    with pytest.raises(ExpectedError, match="a cannot wait for a"):
        order_run(first, after="a")
    order_run(first)
    order_run(second, after="a")
    order_run(third, after="b")
    with pytest.raises(ExpectedError, match="a cannot wait for c, which waits for a"):
        order_run(first, after="c")
    end(second)
    assert order_run(first, after="c").after == "c", "c waits for nobody any more"
