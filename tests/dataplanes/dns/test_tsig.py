"""Signatures of messages, beside dnspython's, and what is not a signature of ours."""

import time
from collections.abc import Iterator

import dns.message
import dns.rcode
import dns.rrset
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.dataplanes.dns import wire
from groundplane.dataplanes.dns.tsig import TsigKey, Verifier, sign
from groundplane.errors import StateError

KEY = TsigKey("groundplane", b"a secret of a test")
THEIRS = dns.tsig.Key(KEY.name, KEY.secret)
OTHER = dns.tsig.Key(KEY.name, b"another secret")
NOW = int(time.time())
QUESTION = sign(wire.query("cluster.local", wire.AXFR, 7), KEY, NOW)


@pytest.fixture(scope="module", autouse=True)
def now() -> Iterator[None]:
    """dnspython signs with the time that it is: here it stands still."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: float(NOW))
        yield


def answers(
    count: int = 1, key: dns.tsig.Key = THEIRS, mac: bytes = QUESTION.mac, error: int = 0
) -> list[bytes]:
    """Return the messages of an answer, signed by dnspython as a server does."""
    found, context = [], None
    for number in range(count):
        message = dns.message.Message(id=7)
        owner = f"name-{number}.cluster.local."
        message.answer.append(dns.rrset.from_text(owner, 5, "IN", "A", "192.0.2.1"))
        message.set_rcode(dns.rcode.NOTAUTH if error else dns.rcode.NOERROR)
        message.use_tsig(key, tsig_error=error)
        message.request_mac = mac
        found.append(message.to_wire(multi=count > 1, tsig_ctx=context))
        context = message.tsig_ctx
    return found


def wire_time(message: bytes) -> int:
    """Return where the time stands that *message* was signed at: behind the algorithm's name."""
    found = wire.decode(message).tsig
    assert found is not None
    return found[1] + len(b"\x0bhmac-sha256\0")


def verified(messages: list[bytes], *, key: TsigKey = KEY, now: int = NOW) -> str:
    """Return why *messages* are not believed, "" where they are."""
    verifier = Verifier(key, QUESTION.mac)
    try:
        for each in messages:
            verifier.verify(each, wire.decode(each), now)
    except StateError as error:
        return str(error)
    return ""


@given(body=st.binary(max_size=40), number=st.integers(0, 0xFFFF))
def test_what_we_sign_dnspython_believes(body: bytes, number: int) -> None:
    zone = "".join(f"\\{byte:03d}" for byte in body) + ".a" if body else "a"
    signed = sign(wire.query(zone, wire.SOA, number), KEY, NOW)
    read = dns.message.from_wire(signed.wire, keyring={THEIRS.name: THEIRS})
    assert (number, signed.mac) == (read.id, read.mac)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_what_a_server_signs_is_believed(count: int) -> None:
    assert "" == verified(answers(count))


def test_what_another_key_signed_is_not() -> None:
    assert "an answer is not signed with our key" == verified(answers(key=OTHER))


def test_the_answer_to_another_question_is_not() -> None:
    assert "an answer is not signed with our key" == verified(answers(mac=bytes(32)))


def test_messages_of_an_answer_in_another_order_are_not() -> None:
    first, second, third = answers(3)
    assert "an answer is not signed with our key" == verified([first, third, second])


@pytest.mark.parametrize("seconds", [-301, 301])
def test_what_was_signed_at_another_time_is_not(seconds: int) -> None:
    messages = answers()
    signed = int.from_bytes(messages[0][wire_time(messages[0]) :][:6], "big")
    assert "an answer was signed 301 s away from now" == verified(messages, now=signed + seconds)
    assert "" == verified(messages, now=signed + seconds // 301 * 300)


def test_what_is_not_signed_is_not() -> None:
    assert "an answer is not signed" == verified([wire.query("a", wire.SOA)])


@given(place=st.integers(0, 1 << 12), bit=st.integers(0, 7))
def test_a_bit_that_was_turned_is_found(place: int, bit: int) -> None:
    (message,) = answers()
    place %= len(message)
    turned = bytearray(message)
    turned[place] ^= 1 << bit
    raw = bytes(turned)
    verifier = Verifier(KEY, QUESTION.mac)
    # The number is the original's, which is signed instead; names are compared without case, and
    # class and TTL of a signature are what they always are (RFC 8945, 4.3.3).
    begin = wire.decode(message).tsig
    assert begin is not None
    if place < 2 or begin[0] <= place < begin[1] or chr(message[place]).isalpha():
        return
    with pytest.raises(StateError):
        verifier.verify(raw, wire.decode(raw), NOW)


@given(length=st.integers(12, 200))
def test_a_message_that_is_cut_off_is_told(length: int) -> None:
    (message,) = answers()
    if length < len(message):
        with pytest.raises(StateError):
            Verifier(KEY, QUESTION.mac).verify(message[:length], wire.decode(message[:length]), NOW)


def test_why_a_server_did_not_believe_us_is_told() -> None:
    """It answers NOTAUTH with an error in a signature that is none (RFC 8945, 5.2)."""
    assert "NOTAUTH, BADKEY" == verified(answers(error=17))
