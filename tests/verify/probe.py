"""Runs on a node: tries names and connections, and prints what became of each as JSON."""

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor


def resolve(name: str) -> list[str]:
    try:
        return sorted(
            {str(info[4][0]) for info in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
        )
    except OSError:
        return []


def connect(host: str, port: int) -> str:
    try:
        with socket.create_connection((host, port), timeout=3):
            return "connected"
    except ConnectionRefusedError:
        return "refused"
    except OSError as error:
        return str(error)


def ask(question: tuple[str, str, int]) -> list[str] | str:
    kind, host, port = question
    return resolve(host) if kind == "name" else connect(host, port)


if __name__ == "__main__":
    questions = json.loads(sys.argv[1])
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, questions))
    print(json.dumps({" ".join(map(str, q)): a for q, a in zip(questions, answers, strict=True)}))
