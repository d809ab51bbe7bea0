"""The event log."""

from __future__ import annotations

from app.events import LINE, LINES_KEPT, Event, Events


def test_stderr_lines_of_an_engine_do_not_displace_other_events() -> None:
    events = Events()
    received: list[str] = []
    events.subscribe(lambda event: received.append(event.name))
    events.publish(Event("engine.ready", "reactor-1", "reactor", None, "reactor-1 is ready"))
    for number in range(LINES_KEPT + 5):
        events.publish(Event(LINE, "reactor-1", "reactor", None, f"line {number}"))
    events.publish(Event("engine.exited", "reactor-1", "reactor", None, "reactor-1 has exited"))
    kept = events.since(0)
    assert [kept[0].event, kept[-1].event, len(kept)] == ["engine.ready", "engine.exited", LINES_KEPT + 2]
    assert [event.id for event in kept] == sorted(event.id for event in kept)
    assert [event.id for event in events.since(kept[-2].id)] == [events.last_id] == [LINES_KEPT + 7]
    assert len(received) == LINES_KEPT + 7, "listeners get every event"
