"""Transport protocols and address families, by the names that Kubernetes gives them."""

from typing import Final, Literal

Protocol = Literal["TCP", "UDP", "SCTP"]
Family = Literal["IPv4", "IPv6"]
FAMILIES: Final[tuple[Family, ...]] = ("IPv4", "IPv6")
NUMBERS: Final[dict[Protocol, int]] = {"TCP": 6, "UDP": 17, "SCTP": 132}  # IANA's, in IP's header
