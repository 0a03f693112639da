"""What the agent says about itself stays small, whatever its source makes it say."""

from pathlib import Path

from groundplane.agent.report import Report
from groundplane.agent.status import STATUS_FILE, PlaneStatus, Status, read_status
from groundplane.errors import MAX_TEXT

MANY = "site.yaml:1: Service/default/web: wrong\n" * 500_000  # 18 MiB


def test_the_status_and_its_file_have_the_first_of_many_faults(tmp_path: Path) -> None:
    report = Report(Status("n1", "0.1.0", 1, 1.0, "/etc/groundplane/catalog"), tmp_path)
    report.tell(source_error=MANY, planes=(PlaneStatus("nftables", error=MANY),))
    assert MAX_TEXT >= len(report.status.source_error)
    assert MAX_TEXT >= len(report.status.planes[0].error)
    assert report.status == read_status(tmp_path)
    assert 3 * MAX_TEXT > (tmp_path / STATUS_FILE).stat().st_size


def test_its_events_are_small(tmp_path: Path) -> None:
    report = Report(Status("n1", "0.1.0", 1, 1.0, "/etc/groundplane/catalog"), tmp_path)
    for _ in range(100):
        report.event("SourceRefused", "Source", MANY, warning=True)
    assert 1_000_000 > sum(len(event.message) for event in report.journal.since(0))
