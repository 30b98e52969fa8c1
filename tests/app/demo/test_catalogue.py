import pytest

from armillary.app.demo.catalogue import read_catalogue, same_sources

HEAD = "#   1 NUMBER  Running object number\n#   2 X_IMAGE  x [pixel]\n#   3 Y_IMAGE  y [pixel]\n"


def test_sources_are_read_by_the_names_in_the_head() -> None:
    first, second = read_catalogue(HEAD + "  1  320.1220  32.7374\n  2  207.79  506.25\n")
    assert (first.x, first.y) == (320.122, 32.7374)
    assert second.columns == ("2", "207.79", "506.25")


@pytest.mark.parametrize("text", ["1 2 3\n", HEAD + "1 2\n"])
def test_what_is_not_a_catalogue_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_catalogue(text)


def test_a_moved_a_missing_and_an_extra_source_are_each_noticed() -> None:
    one = read_catalogue(HEAD + "1 10.0 20.0\n2 30.0 40.0\n")
    assert same_sources(one, one)
    assert not same_sources(one, one[:1])
    assert not same_sources(one[:1], one)
    assert not same_sources(one, read_catalogue(HEAD + "1 10.0 20.0\n2 30.0 40.1\n"))
