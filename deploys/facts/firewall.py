"""Facts about firewalld and ufw, if one of them runs."""

from collections.abc import Iterable

from pyinfra.api import FactBase


class FirewalldDenies(FactBase[list[int]]):
    """The indexes of the *questions* that firewalld answers with no; empty if it does not run."""

    default = list

    def command(self, questions: tuple[str, ...]) -> str:
        return _denied("firewall-cmd --state >/dev/null 2>&1", questions)

    def process(self, output: Iterable[str]) -> list[int]:
        return _numbers(output)


class UfwDenies(FactBase[list[int]]):
    """The indexes of the *questions* answered with no; empty if ufw is inactive."""

    default = list

    def command(self, questions: tuple[str, ...]) -> str:
        return _denied("ufw status 2>/dev/null | grep -q '^Status: active'", questions)

    def process(self, output: Iterable[str]) -> list[int]:
        return _numbers(output)


def _denied(runs: str, questions: tuple[str, ...]) -> str:
    asks = "; ".join(
        f"{ask} >/dev/null 2>&1 || echo {number}" for number, ask in enumerate(questions)
    )
    return f"if {runs}; then {asks}; fi; true"


def _numbers(output: Iterable[str]) -> list[int]:
    return [int(line) for line in output if line.strip()]


class UfwRules(FactBase[list[str] | None]):
    """The added rules of ufw, as the commands that add them; None if ufw is inactive."""

    def command(self) -> str:
        return (
            "if ufw status 2>/dev/null | grep -q '^Status: active'; then echo on; ufw show added;"
            " fi; true"
        )

    def process(self, output: Iterable[str]) -> list[str] | None:
        lines = [line.strip() for line in output]
        return [line for line in lines if line.startswith("ufw ")] if "on" in lines else None
