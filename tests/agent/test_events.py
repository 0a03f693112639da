"""What happened, kept and logged."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from groundplane.agent.events import KEPT, KEPT_TEXT, MAX_MESSAGE, Journal


def test_events_are_numbered_and_told_from_a_number_on() -> None:
    journal = Journal()
    for about in ("Source", "nftables", "Source"):
        journal.add("Happened", about, "so it is", "d46d8884f8d4")
    assert [1, 2, 3] == [event.number for event in journal.since(0)]
    assert [3] == [event.number for event in journal.since(2)]
    assert [] == journal.since(3)
    assert [1, 3] == [event.number for event in journal.since(0, "Source")]
    assert [3] == [event.number for event in journal.since(1, "Source")]


def test_the_last_ones_are_kept() -> None:
    journal = Journal()
    for number in range(KEPT + 5):
        journal.add("Happened", "Source", str(number), "")
    kept = journal.since(0)
    assert (KEPT, 6, KEPT + 5) == (len(kept), kept[0].number, kept[-1].number)


def test_each_is_logged_with_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    journal = Journal()
    journal.add("Repaired", "nftables", "was changed", "d46d8884f8d4", warning=True)
    journal.add("SourceAccepted", "Source", "can be used again", "d46d8884f8d4")
    assert [
        ("WARNING", "nftables: was changed", "Repaired", "nftables", "d46d8884f8d4"),
        ("INFO", "Source: can be used again", "SourceAccepted", "Source", "d46d8884f8d4"),
    ] == [
        (
            record.levelname,
            record.getMessage(),
            vars(record)["reason"],
            vars(record)["about"],
            vars(record)["revision"],
        )
        for record in caplog.records
    ]


def test_several_threads_give_no_number_twice_and_disturb_no_reader() -> None:
    journal = Journal()

    def add(_: int) -> None:
        for _ in range(200):
            journal.add("Happened", "Source", "", "")
            assert journal.since(0)

    logging.disable(logging.WARNING)
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(add, range(4)))
    finally:
        logging.disable(logging.NOTSET)
    assert list(range(1, 801)) == [event.number for event in journal.since(0)]


def test_a_message_is_cut_and_so_is_its_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal()
    journal.add("SourceRefused", "Source", "x" * 20_000_000, "", warning=True)
    (event,) = journal.since(0)
    assert MAX_MESSAGE > len(event.message)
    assert f"Source: {event.message}" == caplog.messages[0]


def test_all_messages_together_are_bounded_and_the_oldest_are_forgotten() -> None:
    journal = Journal()
    logging.disable(logging.WARNING)
    try:
        for _ in range(KEPT):
            journal.add("SourceRefused", "Source", "x" * MAX_MESSAGE, "", warning=True)
    finally:
        logging.disable(logging.NOTSET)
    kept = journal.since(0)
    assert KEPT_TEXT >= sum(len(event.message) for event in kept)
    assert KEPT == kept[-1].number
