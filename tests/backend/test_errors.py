"""The tree of exceptions: its shape, and that every one survives copying and pickling."""

from __future__ import annotations

import builtins
import copy
import pickle

import pytest

from blaze import errors as e


def test_the_tree_is_the_documented_one() -> None:
    direct = {
        e.ConfigurationError,
        e.ModelError,
        e.QueryError,
        e.SessionError,
        e.ValidationError,
        e.PluginError,
        e.MigrationError,
        e.CapabilityError,
        e.DatabaseError,
    }
    assert all(error.__bases__[0] is e.BlazeError for error in direct)
    assert issubclass(e.NoSessionError, (e.SessionError, RuntimeError))
    assert issubclass(e.NoSessionError, RuntimeError)
    assert issubclass(e.TimeoutError, e.DatabaseError)
    assert issubclass(e.TimeoutError, builtins.TimeoutError)
    assert issubclass(e.NotLoadedError, e.SessionError)
    assert not issubclass(e.NotLoadedError, AttributeError), "hasattr() must not hide it"
    for error in (e.UniqueError, e.ForeignKeyError, e.NotNullError, e.CheckError):
        assert issubclass(error, e.IntegrityError)


@pytest.mark.parametrize(
    "name", [name for name in e.__all__ if issubclass(getattr(e, name), e.DatabaseError)]
)
def test_a_database_error_keeps_its_facts_in_copies_and_pickles(name: str) -> None:
    kind = getattr(e, name)
    error = kind(
        "it failed", statement="SELECT 1", code="23505", constraint="uq", columns=["a", "b"], retryable=True
    )
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is kind
        assert str(other) == "it failed"
        assert (other.statement, other.code, other.constraint) == ("SELECT 1", "23505", "uq")
        assert other.columns == ("a", "b")
        assert other.retryable is True


def test_what_can_be_tried_again_says_so() -> None:
    assert e.DeadlockError("x").retryable
    assert e.SerializationError("x").retryable
    assert e.PoolTimeoutError("x").retryable
    assert not e.DatabaseError("x").retryable
    assert not e.CommitOutcomeUnknownError("x").retryable, "nobody knows whether it is done already"
    assert not e.DeadlockError("x", retryable=False).retryable
    assert not e.QueryError("x").retryable


def test_a_validation_error_maps_fields_to_messages() -> None:
    class Book: ...

    error = e.ValidationError({"title": ["is empty"], "price": ("is negative", "is odd")}, Book)
    assert error.errors == {"title": ["is empty"], "price": ["is negative", "is odd"]}
    assert str(error) == "Book is not valid: title: is empty; price: is negative, is odd"
    other = pickle.loads(pickle.dumps(e.ValidationError({"a": ["b"]}, int)))
    assert other.errors == {"a": ["b"]}
    assert other.model is int
