"""The control plane is killed: nothing that it started is left, and nothing that it knew is lost."""

from __future__ import annotations

from pathlib import Path

from .driver import LabMaker, command_line, plan, until

LEFT_WITHIN_S = 2.0


def test_kill_of_the_control_plane_leaves_no_process_and_loses_no_run(make_lab: LabMaker, tmp_path: Path) -> None:
    lab = make_lab(data_dir=tmp_path)
    earlier = lab.run(model="reactor", plan=plan(0.5, 0))
    assert earlier["state"] == "finished"
    for model in ("blocking", "reactor-pool", "main-sub"):
        lab.start(model)
    going = lab.submit(model="reactor", plan=plan(30))
    waiting = lab.submit(model="blocking", plan=plan(30))
    until(lambda: any("app.load" in command_line(pid) for pid in lab.others()), "the generator runs")
    lab.reaches(going["id"], "running")
    children = [command_line(pid) for pid in lab.others()]
    assert sum("-m engines" in line for line in children) == 4, children
    lab.kill()
    until(lambda: not lab.others(), "every child is gone", LEFT_WITHIN_S)

    again = make_lab(data_dir=tmp_path)
    for id in (going["id"], waiting["id"]):
        run = again.get(f"/runs/{id}")
        assert run["state"] == "failed"
        assert "control plane" in run["failure"]
        assert run["finished_at"]
    kept = again.get(f"/runs/{earlier['id']}")
    assert kept == earlier
    assert [run["id"] for run in again.get("/runs")] == [waiting["id"], going["id"], earlier["id"]]
    assert again.get("/engines") == []
    assert again.run(model="reactor", plan=plan(0.5, 0))["state"] == "finished"


def test_term_ends_engines_and_runs_and_says_so_in_the_history(make_lab: LabMaker, tmp_path: Path) -> None:
    lab = make_lab(data_dir=tmp_path)
    lab.start("main-sub")
    run = lab.submit(model="reactor", plan=plan(30))
    until(lambda: any("app.load" in command_line(pid) for pid in lab.others()), "the generator runs")
    lab.close()  # asserts that nothing is left
    again = make_lab(data_dir=tmp_path)
    view = again.get(f"/runs/{run['id']}")
    assert view["state"] in ("failed", "stopped")
    assert view["failure"]


def test_a_run_that_goes_elsewhere_on_the_same_data_is_left_alone(make_lab: LabMaker, tmp_path: Path) -> None:
    one = make_lab(data_dir=tmp_path)
    run = one.submit(model="reactor", plan=plan(3))
    one.reaches(run["id"], "running")
    two = make_lab(data_dir=tmp_path)
    assert two.get(f"/runs/{run['id']}")["state"] not in ("failed", "stopped")
    assert one.ended(run["id"])["state"] == "finished"
    assert two.get(f"/runs/{run['id']}")["state"] == "finished"
