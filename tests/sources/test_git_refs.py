"""Branches, tags, and what becomes of them."""

import pytest

from tests.sources.conftest import SITE, OverHttps, fault, files, look
from tests.sources.repositories import Repository

pytestmark = pytest.mark.slow

OTHER = {"other.yaml": "kind: Cluster\n"}


def test_the_head_of_the_repository_is_what_comes_without_a_ref(
    repository: Repository, over_https: OverHttps
) -> None:
    repository.commit(SITE)
    repository.commit(OTHER, "refs/heads/next")
    source = over_https()
    assert SITE == files(look(source))
    repository.git("symbolic-ref", "HEAD", "refs/heads/next")
    assert OTHER == files(look(source))


def test_a_branch(repository: Repository, over_https: OverHttps) -> None:
    repository.commit(SITE)
    repository.commit(OTHER, "refs/heads/feature/a")
    repository.commit(SITE, "refs/heads/a")
    assert OTHER == files(look(over_https("?ref=feature/a")))
    assert OTHER == files(look(over_https("?ref=refs/heads/feature/a")))


def test_a_tag_and_one_with_a_message(repository: Repository, over_https: OverHttps) -> None:
    first = repository.commit(SITE)
    repository.git("tag", "light", first)
    repository.git("tag", "-a", "-m", "of", "noted", first)
    repository.git("tag", "-a", "-m", "of a tag", "twice", "noted")
    for name in ("light", "noted", "twice"):
        source = over_https(f"?ref={name}")
        found = look(source)
        assert (first, SITE) == (found.revision, files(found))
        assert found is look(source)


def test_a_tag_that_moves(repository: Repository, over_https: OverHttps) -> None:
    repository.git("tag", "-a", "-m", "x", "live", repository.commit(SITE))
    source = over_https("?ref=live")
    assert SITE == files(look(source))
    repository.git("tag", "-f", "-a", "-m", "y", "live", repository.commit(OTHER))
    assert OTHER == files(look(source))


def test_a_tag_of_something_else(repository: Repository, over_https: OverHttps) -> None:
    repository.commit(SITE)
    repository.git("tag", "text", repository.blob("x"))
    assert "text is not a commit" == fault(over_https("?ref=text"))


def test_a_branch_and_a_tag_of_one_name(repository: Repository, over_https: OverHttps) -> None:
    repository.git("tag", "main", repository.commit(SITE))
    expected = "there is a branch main and a tag main; ref=refs/heads/main or refs/tags/main"
    assert expected == fault(over_https("?ref=main"))
    assert SITE == files(look(over_https("?ref=refs/tags/main")))


def test_history_that_is_rewritten(repository: Repository, over_https: OverHttps) -> None:
    repository.commit(SITE, parent=repository.commit(OTHER))
    source = over_https("?ref=main")
    first = look(source)
    repository.commit(OTHER | {"n.yaml": "n: 1\n"})  # no parent: nothing in common
    assert OTHER | {"n.yaml": "n: 1\n"} == files(look(source))
    assert SITE == files(first)


def test_a_branch_that_goes_and_comes_back(repository: Repository, over_https: OverHttps) -> None:
    commit = repository.commit(SITE, "refs/heads/next")
    source = over_https("?ref=next")
    found = look(source)
    repository.git("update-ref", "-d", "refs/heads/next")
    assert "the repository has no branch or tag next" == fault(source)
    repository.git("update-ref", "refs/heads/next", commit)
    assert found is look(source)


def test_a_repository_with_nothing_in_it(repository: Repository, over_https: OverHttps) -> None:
    source = over_https()
    empty = "the repository is empty, or has no branch that its HEAD names"
    assert empty == fault(source)
    repository.commit(SITE)
    assert SITE == files(look(source))


def test_names_that_only_end_alike_are_not_mistaken(
    repository: Repository, over_https: OverHttps
) -> None:
    repository.commit(SITE, "refs/heads/x/refs/heads/main")
    assert "the repository has no branch or tag main" == fault(over_https("?ref=main"))
