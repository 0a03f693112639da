"""Documents to structs: every fault of a document at once, with what would be right."""

from typing import Any

import pytest

from groundplane.documents.service import EndpointSlice, Service, ServiceSpec
from groundplane.hint import Work
from groundplane.load.convert import MOST, Asked, convert


def _unwritten(_path: str) -> str:
    """Know nothing of how the document is written."""
    return ""


def convert_service(spec: object, **meta: object) -> Any:
    document = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", **meta}}
    return convert({**document, "spec": spec}, Service, Asked(_unwritten, Work()))


def test_a_good_document_is_a_struct() -> None:
    assert convert_service({"type": "ClusterIP"}).spec == ServiceSpec(type="ClusterIP")


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ("x", [("spec", "expected a mapping, got text")]),
        ({"ports": {}}, [("spec.ports", "expected a list, got a mapping")]),
        (
            {"ports": [{"port": "80"}]},
            [
                (
                    "spec.ports[0].port",
                    'expected a whole number, got "80"; write it without quotes',
                )
            ],
        ),
        (
            {"ports": [{"port": True}]},
            [("spec.ports[0].port", "expected a whole number, got true")],
        ),
        (
            {"ports": [{"port": 80, "targetPort": 1.5}]},
            [("spec.ports[0].targetPort", "expected a whole number or text, got 1.5")],
        ),
        (
            {"publishNotReadyAddresses": "yes"},
            [("spec.publishNotReadyAddresses", 'expected true or false, got "yes"')],
        ),
        ({"clusterIPs": [{}]}, [("spec.clusterIPs[0]", "expected text, got a mapping")]),
    ],
)
def test_a_wrong_type_says_what_is_expected(spec: object, faults: list[tuple[str, str]]) -> None:
    assert convert_service(spec) == faults


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (80, "80"), (1.5, "1.5")])
def test_a_label_that_yaml_reads_as_no_text_is_to_be_quoted(value: object, text: str) -> None:
    assert convert_service({"selector": {"app": value}}) == [
        ("spec.selector.app", f'expected text, got {text}; quote it: "{text}"')
    ]


def test_a_key_that_is_no_text_is_to_be_quoted() -> None:
    assert convert_service({"selector": {1: "a"}}) == [
        ("spec.selector", "expected text as key, got 1; quote it")
    ]


@pytest.mark.parametrize(
    ("field", "hint"),
    [("portz", '; did you mean "ports"?'), ("Selector", '; did you mean "selector"?'), ("qqq", "")],
)
def test_an_unknown_field_names_the_nearest_one(field: str, hint: str) -> None:
    assert convert_service({field: 1}) == [(f"spec.{field}", f'unknown field "{field}"{hint}')]


def test_an_unknown_value_lists_the_known_and_names_the_nearest() -> None:
    assert convert_service({"sessionAffinity": "clientip"}) == [
        (
            "spec.sessionAffinity",
            'expected "ClientIP" or "None", got "clientip"; did you mean "ClientIP"?',
        )
    ]


def test_a_number_in_quotes_is_to_be_written_without() -> None:
    (found,) = convert_service({"ports": [{"port": "080"}]})
    assert found == (
        "spec.ports[0].port",
        'expected a whole number, got "080"; write it without quotes',
    )


@pytest.mark.parametrize(
    "spec", [{"type": ""}, {"sessionAffinity": ""}, {"ports": [{"port": 80, "protocol": ""}]}]
)
def test_what_api_servers_take_for_unset_where_it_is_empty_is_the_default(
    spec: dict[str, object],
) -> None:
    plain = {"ports": [{"port": 80}]} if "ports" in spec else {}
    assert convert_service(spec) == convert_service(plain)


def test_other_fields_are_not_unset_where_they_are_empty() -> None:
    assert isinstance(convert_service({"ipFamilyPolicy": ""}), list)


def test_a_merge_key_among_labels_is_called_so() -> None:
    assert convert_service({"selector": {"<<": {"app": "web"}}}) == [
        ("spec.selector.<<", "merge keys (<<) are none of YAML 1.2's: write the fields out")
    ]


def test_a_required_field_that_is_missing_is_named() -> None:
    assert convert_service({"ports": [{}]}) == [("spec.ports[0]", '"port" is required')]


def test_all_faults_of_a_document_come_at_once() -> None:
    spec = {"typ": "ClusterIP", "ports": [{"port": "x", "protocol": "tcp"}], "externalName": 5}
    assert [path for path, _ in convert_service(spec, labels={"a": 1})] == [
        "metadata.labels.a",
        "spec.typ",
        "spec.ports[0].port",
        "spec.ports[0].protocol",
        "spec.externalName",
    ]


def test_what_an_api_server_adds_is_ignored() -> None:
    meta = {"uid": "x", "creationTimestamp": None, "managedFields": [{"manager": "kubectl"}]}
    assert convert_service({}, **meta).metadata.name == "web"


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_metadata_that_is_null_is_as_if_absent(field: str) -> None:
    """Charts print `annotations:` with nothing behind it."""
    assert convert_service({}, **{field: None}) == convert_service({})


def test_lists_that_are_null_are_as_if_absent() -> None:
    """`kubectl get endpointslice -o yaml` prints `endpoints: null` for a slice without any."""
    document = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1"},
        "addressType": "IPv4",
    }
    nulls = {**document, "endpoints": None, "ports": None}
    asked = Asked(_unwritten, Work())
    assert convert(nulls, EndpointSlice, asked) == convert(document, EndpointSlice, asked)


def test_a_required_field_that_is_null_is_missing() -> None:
    assert convert_service({}, name=None) == [("metadata", '"name" is required')]


def test_a_selector_value_that_is_null_is_a_fault() -> None:
    """Without the pair the selector would select more than was written."""
    assert convert_service({"selector": {"app": None}}) == [
        ("spec.selector.app", "expected text, got nothing")
    ]


def test_of_one_document_the_first_faults_are_kept() -> None:
    found = convert_service({f"selecto{number}": 1 for number in range(100_000)})
    assert MOST == len(found)
    assert ("spec.selecto0", 'unknown field "selecto0"; did you mean "selector"?') == found[0]


def test_a_hint_is_given_only_while_there_is_work_left() -> None:
    document = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spc": {}}
    found = convert(document, Service, Asked(_unwritten, Work(0)))
    assert [("spc", 'unknown field "spc"')] == found
