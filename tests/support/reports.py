"""Reports of runs, made up."""

from swarm.delivery.result import State, StreamProblem, Tally, Verified
from swarm.errors import ExitCode
from swarm.run.report import ConnectionUse, MeterReport, Report

#: The counts that add up to the rows.
PARTS = ("filtered", "sent", "resumed", "rejected", "late", "unsent")


def problem(code: int, message: str = "it failed", line: int | None = None) -> StreamProblem:
    """Return a problem with an exit code."""
    return StreamProblem(
        "temporary", message, ExitCode(code), line=line, status=503, file="gas.csv"
    )


def meter(
    name: str = "gas",
    rows: int = 10,
    tally: Tally | None = None,
    *,
    problem: StreamProblem | None = None,
    state: State = "done",
    verified: Verified = "yes",
) -> MeterReport:
    """Return what became of a meter."""
    times = ("2023-01-01T00:00:00.000+00:00", "2023-01-01T02:15:00.000+00:00")
    tally = tally or Tally(sent=rows, first=100.0, last=102.0)
    return MeterReport(name, f"{name}.csv", state, rows, tally, *times, verified, problem)


def report(*meters: MeterReport, signal: int | None = None, notes: tuple[str, ...] = ()) -> Report:
    """Return the report of a run of 2.5 s."""
    return Report(
        config="c.ini",
        collector="https://c",
        started=1_700_000_000.0,
        finished=1_700_000_002.5,
        seconds=2.5,
        meters=meters,
        signal=signal,
        notes=notes,
        connections=ConnectionUse("auto", len(meters), "one for each stream"),
    )
