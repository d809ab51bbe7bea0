"""Notes on a trial whose load came from other hosts."""

from __future__ import annotations

from dataclasses import replace

from app.results.host_notes import host_notes
from app.results.summary import summarise
from app.schemas.host import HostUse
from tests.app.hosts.views import host_use
from tests.load.outcomes import closed_outcome

OUTCOME = closed_outcome([1000] * 50, [1000] * 50)
SUMMARY = summarise(OUTCOME)


def notes_on(*hosts: HostUse) -> list[str]:
    return list(host_notes(hosts, SUMMARY))


def test_a_load_of_this_machine_has_no_note() -> None:
    assert notes_on() == []


def test_hosts_are_named_with_their_round_trips() -> None:
    assert notes_on(host_use("a")) == ["The load came from a."]
    first, *_ = notes_on(host_use("a", rtt_us=40.0), host_use("b"), host_use("c", rtt_us=2_500.0))
    assert first == "The load came from a (round trip 40 µs), b and c (round trip 2.50 ms)."


def test_a_round_trip_that_is_a_tenth_of_the_median_or_more_is_named() -> None:
    assert len(notes_on(host_use(rtt_us=99.0))) == 1
    _, note = notes_on(host_use(rtt_us=100.0))
    assert note == (
        "Network delay: each response time includes the round trip to its host, 100 µs; "
        "the median service time is 1.00 ms."
    )
    _, note = notes_on(host_use("a", rtt_us=20.0), host_use("b", rtt_us=500.0))
    assert "the round trip to its host, 20 µs to 500 µs;" in note


def test_a_load_without_responses_has_no_median() -> None:
    empty = summarise(replace(OUTCOME, requests=0, kinds=()))
    assert len(list(host_notes([host_use(rtt_us=100.0)], empty))) == 1


def test_the_instants_at_which_several_hosts_start_differ_by_twice_the_largest_error() -> None:
    hosts = host_use("a", clock_error_us=60.0), host_use("b", clock_error_us=250.0), host_use("c")
    assert notes_on(*hosts)[1:] == [
        "The hosts started at one instant by their own clocks; the instants differ by at most 500 µs."
    ]
    assert len(notes_on(hosts[1])) == 1, "one host has one clock"
