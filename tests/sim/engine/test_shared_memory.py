"""Memory that two processes see."""

from __future__ import annotations

from sim.engine.shared_memory import SharedBuffer, SharedView


def test_what_is_written_is_seen_and_grows() -> None:
    arena, window = SharedBuffer("test"), SharedView()
    assert bytes(window.view(arena.path, arena.write([b"ab", bytearray(b"c")]))) == b"abc"
    long = bytes(range(256)) * 64
    assert bytes(window.view(arena.path, arena.write([long]))) == long
    arena.close()


def test_emptied_memory_reads_zero_and_can_be_written_again() -> None:
    arena, window = SharedBuffer("test"), SharedView()
    view = window.view(arena.path, arena.write([b"x" * 10_000]))
    arena.release_pages()
    assert bytes(view) == bytes(10_000), "a reader that comes late sees zeros, and does not die"
    arena.write([b"again"])
    assert bytes(view[:5]) == b"again"
    arena.close()


def test_empty_before_the_first_message_is_nothing() -> None:
    arena = SharedBuffer("test")
    arena.release_pages()
    arena.close()
