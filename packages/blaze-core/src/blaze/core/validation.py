"""The checks before a save: types, lengths, choices, validators, and the model's own rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Optional

from blaze.core.specs import UNSET
from blaze.errors import ValidationError
from blaze.security.redaction import redactor

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper


MOST_EXPLAINED = 20  # instances that one error tells of


def field_messages(attribute: Attribute, value: Any) -> list[str]:
    """Return what is wrong with one value; an empty list when nothing is."""
    spec = attribute.spec
    if value is None:
        if attribute.nullable or attribute.server_generated:
            return []
        return ["must not be None: the column is NOT NULL; give a value or declare it Optional"]
    problem = attribute.type.check(value)
    messages = []
    if problem is not None:
        messages.append(redactor.problem(attribute.guarded_name, value, problem))
        if not isinstance(value, attribute.type.accepts):
            return messages  # validators expect values of the type
    if spec.choices is not None and value not in spec.choices:
        messages.append(f"must be one of {', '.join(map(repr, spec.choices))}")
    for validator in spec.validators:
        try:
            validator(value)
        except ValidationError as error:
            messages += [message for found in error.errors.values() for message in found]
        except ValueError as error:
            messages.append(str(error) or f"is refused by {getattr(validator, '__name__', validator)!s}")
    return messages


def explain(instances: Iterable[Any]) -> None:
    """After a `DataError`: raise `ValidationError` for the instances that do not fit their models.

    The fast tests before a write leave rare misfits, such as numbers of more than 64 bits, to the driver,
    which cannot name the field. The error is that of the first instance; its `others` are those of the rest.
    """
    found: list[ValidationError] = []
    for instance in instances:
        try:
            instance.full_clean()
        except ValidationError as error:
            found.append(error)
            if len(found) == MOST_EXPLAINED:
                break
    if found:
        raise found[0].along_with(found[1:])


def refuse_deleted(mapper: Mapper, instance: Any) -> None:
    """Raise `ValidationError` when the value of a column was deleted (`del book.title`)."""
    errors = {
        attribute.name: ["has no value: it was deleted; set it to None or to another value"]
        for attribute in mapper.columns
        if attribute.slot == attribute.name and attribute.peek(instance) is UNSET
    }
    if errors:
        raise ValidationError(errors, model=mapper.model)


def full_clean(mapper: Mapper, instance: Any) -> None:
    """Run every check on one instance; raise `ValidationError` with all messages at once."""
    errors: dict[str, list[str]] = {}
    for attribute in mapper.attributes.values():
        value = attribute.peek(instance)
        if value is UNSET:
            continue
        relation = attribute.key_of
        if value is None and attribute is mapper.version:
            continue  # the first flush gives a new object its version
        if value is None and any(r.peek(instance) not in (None, UNSET) for r in attribute.keys_of):
            continue  # the key is taken from the related object when it is flushed
        messages = field_messages(attribute, value)
        if messages:
            name = attribute.name
            if relation is not None and value is None and not attribute.nullable:
                name = relation.name
            errors.setdefault(name, []).extend(messages)
    cause: Optional[ValueError] = None
    for check in (instance.validate, instance.clean):
        try:
            check()
        except ValidationError as error:
            for name, messages in error.errors.items():
                errors.setdefault(name, []).extend(messages)
        except ValueError as error:  # as of a validator; its traceback tells where
            errors.setdefault("__all__", []).append(str(error) or f"is refused by {check.__name__}()")
            cause = error
    if errors:
        key = None if mapper.is_new(instance) else mapper.shown_key(mapper.key(instance))
        raise ValidationError(errors, model=mapper.model, key=key) from cause


def refuse_disagreement(mapper: Mapper, instances: Iterable[Any]) -> None:
    """Raise `ValidationError` for an object whose related objects need different values in a column that
    their relations share.
    """
    for instance in instances:
        for relation in mapper.sharing:
            related = relation.peek(instance)
            if related is None or related is UNSET:
                continue
            for local, remote in zip(relation.local, relation.remote):
                value = remote.peek(related)
                shared = len(local.keys_of) > 1 and value not in (None, UNSET)
                if shared and value != local.peek(instance):
                    others = ", ".join(other.name for other in local.keys_of if other is not relation)
                    message = (
                        f"its {relation.target.name} does not go with {others}: both stand in the column "
                        f"{local.column.name!r} and need the same value there"
                    )
                    raise ValidationError({relation.name: [message]}, model=mapper.model)
