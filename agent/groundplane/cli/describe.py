"""`groundplane describe`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from groundplane.cli import options
from groundplane.cli.arguments import bounded, failing_workloads, live_name, name_and_source
from groundplane.cli.output import note, print_json, print_yaml

if TYPE_CHECKING:
    from groundplane.cli.explain import EndpointStatus
    from groundplane.documents.catalog import Catalog
    from groundplane.site import compiled


@click.command()
@click.argument("kind", type=click.Choice(["service", "services", "svc"]), metavar="service")
@click.argument("arguments", nargs=-1, metavar="NAME [SOURCE]")
@click.option("-n", "--namespace", default="default", show_default=True, help="Of the service.")
@click.option("-o", "--output", default="text", type=click.Choice(["text", "json", "yaml"]))
@click.option(
    "--health",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="As for `groundplane render`.",
)
@options.live
@options.state_directory
@options.runtime_directory
@bounded
def describe(
    kind: str,  # noqa: ARG001
    arguments: tuple[str, ...],
    namespace: str,
    output: str,
    health: Path | None,
    state_directory: Path,
    runtime_directory: Path,
    *,
    live: bool,
) -> int:
    """Show one service: its names and addresses, every endpoint that counts, every
    one that does not and why, and the line of the file that says so.

    With --live the agent of this node is asked: since when each endpoint counts or does not, and
    what its probe answers.
    """
    if live:
        name = live_name(arguments, health)
        return _describe_live((namespace, name or ""), output, state_directory, runtime_directory)
    from groundplane.cli.services import service_document
    from groundplane.cli.source_cache import reader_of
    from groundplane.cli.tables import endpoint_documents, service_verdicts
    from groundplane.compile.pipeline import preview_source
    from groundplane.hint import did_you_mean

    name, source = name_and_source(arguments)
    if name is None:
        raise click.UsageError("a service's NAME is needed")
    with reader_of(source) as read:
        catalog, site, notice = preview_source(source, read)
    if notice:
        note(notice)
    service = next((each for each in site.services if each.key == (namespace, name)), None)
    if service is None:
        hint = did_you_mean(name, [each.name for each in site.services])
        return _missing(namespace, name, hint)
    found = service_verdicts(catalog, service, failing_workloads(health))
    if output != "text":
        shown = service_document(catalog.services[service.key], service)
        shown["endpoints"] = endpoint_documents(found)
        (print_json if output == "json" else print_yaml)(shown)
        return 0
    for line in _lines(catalog, site, service, found):
        click.echo(line)
    return 0


def _missing(namespace: str, name: str, hint: str) -> int:
    click.echo(f'error: no service "{name}" in namespace "{namespace}"{hint}', err=True)
    return 1


def _describe_live(
    key: tuple[str, str], output: str, state_directory: Path, runtime_directory: Path
) -> int:
    from groundplane.cli.live import described_live, live_document, live_site
    from groundplane.hint import did_you_mean

    if not key[1]:
        raise click.UsageError("a service's NAME is needed")
    live = live_site(state_directory, runtime_directory)
    service = live.site.service(key)
    if service is None:
        hint = did_you_mean(key[1], [each.name for each in live.site.every_service()])
        return _missing(*key, hint)
    if output != "text":
        (print_json if output == "json" else print_yaml)(live_document(live, service))
        return 0
    lines = list(_aligned(list(described_live(live, service))))
    if not service.external_name:
        lines += _endpoint_lines(service, live.verdicts(service), "")
    click.echo("\n".join(lines))
    return 0


def _aligned(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    width = max(len(heading) for heading, _ in rows) + 2
    for heading, text in rows:
        yield f"{heading + ':':<{width}}{text}"


def _lines(
    catalog: "Catalog",
    site: "compiled.Site",
    service: "compiled.Service",
    found: "Sequence[EndpointStatus]",
) -> Iterator[str]:
    from groundplane.cli.services import described, rows_of_modes
    from groundplane.documents.catalog import key_of
    from groundplane.load import line_of

    document = catalog.services[service.key]
    selector = ",".join(f"{k}={v}" for k, v in document.spec.selector.items())
    labels = ",".join(f"{k}={v}" for k, v in document.metadata.labels.items())
    rows = [
        ("Name", service.name),
        ("Namespace", service.namespace),
        ("Labels", labels or "<none>"),
        ("Written at", str(line_of(catalog.origins[key_of(document)]))),
        ("Selector", selector or "<none>"),
        ("DNS", f"{service.name}.{service.namespace}.svc.{site.domain}"),
        *described(document, service),
        *rows_of_modes(site, service),
    ]
    yield from _aligned(rows)
    if not document.external:
        yield from _endpoints(catalog, service, found)


def _endpoints(
    catalog: "Catalog", service: "compiled.Service", found: "Sequence[EndpointStatus]"
) -> Iterator[str]:
    from groundplane.check.selectors import nearest_labels

    document = catalog.services[service.key]
    hint = ""
    if not found:
        selects = bool(document.spec.selector)
        index = catalog.labels
        near = nearest_labels(catalog, document, index) if selects else ""
        hint = near if selects else "; it has no selector and no slice"
    yield from _endpoint_lines(service, found, hint)


def _endpoint_lines(
    service: "compiled.Service", found: "Sequence[EndpointStatus]", hint: str
) -> Iterator[str]:
    """Yield a line for each endpoint; *hint* says why there is none."""
    from groundplane.documents import dns

    unnamed = "<name server>" if service.key == dns.NAME else "<slice>"
    yield "Endpoints:"
    for verdict in found:
        place = ",".join(verdict.addresses) or "-"
        ports = ",".join(str(target) for target in verdict.targets if target) or "-"
        mark = "+" if verdict.counts else "-"
        yield (
            f"  {mark} {verdict.workload or unnamed}  {place}  ports {ports}"
            f"  node {verdict.node or '-'}  ({verdict.reason})"
        )
    if not found:
        yield f"  <none>{hint}"
    if not any(verdict.counts for verdict in found):
        yield (
            "  No endpoint counts: connections are refused at once."
            if service.cluster_ips
            else "  No endpoint counts: the name does not exist."
        )
