import pickle
from collections.abc import Iterator

import numpy as np
import pytest

from ragkit import errors

MADE = {
    errors.UnknownModel: ("gecko", ["a", "b"]),
    errors.PlanError: (["one fault", "another"],),
    errors.SchemaError: ("no key", ["no key", "no column"]),
    errors.ModelBusy: ("too many requests", 3.0),
    errors.PartialRefusal: ({1: "too long"}, np.ones((2, 3))),
}


def all_errors(kind: type[errors.RagkitError]) -> Iterator[type[errors.RagkitError]]:
    yield kind
    for part in kind.__subclasses__():
        yield from all_errors(part)


KINDS = [kind for kind in all_errors(errors.RagkitError) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_of_a_worker_reaches_whoever_waits_for_it(kind):
    error = kind(*MADE.get(kind, ("what was expected",)))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert vars(copy).keys() == vars(error).keys()
    assert repr(vars(copy)) == repr(vars(error))


def test_the_tree_in_the_docstring_has_all_of_them():
    assert errors.__doc__ is not None
    names = {word for word in errors.__doc__.split() if word[0].isupper()}
    assert {kind.__name__ for kind in KINDS} <= names
