"""Generate the functions that turn rows into instances."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from textwrap import indent
from typing import TYPE_CHECKING, Any, Optional

from blaze.core.codegen import make_function
from blaze.core.context import LoadContext
from blaze.core.inheritance import family_attributes, unknown_value
from blaze.core.specs import UNSET
from blaze.core.unreadable import Reading
from blaze.dialects.checked import Checked

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation
    from blaze.dialects.dialect import Dialect

new = object.__new__


class Shape:
    """What the columns of a row make: an entity's attributes, then its joined to-one relations in order."""

    __slots__ = ("attributes", "joined", "mapper")

    def __init__(
        self,
        mapper: Mapper,
        attributes: Sequence[Attribute],
        joined: Sequence[tuple[Relation, Shape]] = (),
    ) -> None:
        self.mapper = mapper
        self.attributes = tuple(attributes)
        self.joined = tuple(joined)


def default_attributes(mapper: Mapper) -> tuple[Attribute, ...]:
    """Return what a query loads when it does not say: every column that is not deferred."""
    return tuple(
        a
        for a in family_attributes(mapper)
        if not a.spec.deferred or a in mapper.pk or a is mapper.discriminator
    )


class _Writer:
    """Collects the source of one loader and the names it uses."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.head: list[str] = []
        self.body: list[str] = []
        self.names: dict[str, Any] = {"new": new, "LoadContext": LoadContext, "UNSET": UNSET}
        self.variables: list[str] = []
        self.entities = 0
        self.reading = Reading()

    def variable(self) -> str:
        name = f"v{len(self.variables)}"
        self.variables.append(name)
        return name

    def decoded(self, attribute: Attribute, variable: str) -> str:
        """Return the expression of a column's Python value."""
        decoder = self.dialect.decoder(attribute.type)
        if decoder is None:
            return variable
        if decoder is bool:
            converted = f"{variable} != 0"
        else:
            converted = self.converted(decoder, variable)
        return f"None if {variable} is None else {converted}" if attribute.column.nullable else converted

    def converted(self, decoder: Any, variable: str) -> str:
        """Return the expression that decodes a value which is not None."""
        names = self.names
        if not isinstance(decoder, Checked):
            names[f"d{variable}"] = decoder
            return f"d{variable}({variable})"
        names[f"d{variable}"] = decoder.read
        names[f"w{variable}"] = decoder.wanted
        names[f"e{variable}"] = decoder.otherwise
        made = f"m{variable}"
        test = f"({made} := d{variable}({variable})).{decoder.attribute} is w{variable}"
        return f"({made} if {test} else e{variable}({made}))"

    def entity(self, shape: Shape, indent: str, nullable: bool, inverse: Optional[Relation] = None) -> str:
        """Write the block that finds or builds one entity; return the name of its variable.

        `inverse` is a relation of the first entity whose object `owner_of(key)` knows.
        """
        number = self.entities
        self.entities += 1
        mapper, target = shape.mapper, f"o{number}"
        columns = {attribute: self.variable() for attribute in shape.attributes}
        self.reading.entities.append((mapper, columns))
        self.names[f"B{number}"] = mapper.base.model
        self.names[f"set_context{number}"] = mapper.set_context
        self.head.append(f"    found{number} = identity[B{number}]")
        self.head.append(f"    get{number} = found{number}.get")
        if number == 0:
            self.head.append("    context0 = LoadContext(session, out, lazy)")
        else:
            self.head.append(f"    members{number} = []")
            self.head.append(f"    append{number} = members{number}.append")
            self.head.append(f"    context{number} = LoadContext(session, members{number}, lazy)")
        write = self.body.append
        keys = [columns[attribute] for attribute in mapper.pk]
        if nullable:
            write(f"{indent}{target} = None")
        children = [(relation, self.entity(child, indent, True)) for relation, child in shape.joined]
        if nullable:
            write(f"{indent}if {keys[0]} is not None:")
            indent += "    "
        for attribute, variable in zip(mapper.pk, keys):
            if self.dialect.decoder(attribute.type) is not None:
                write(f"{indent}{variable} = {self.decoded(attribute, variable)}")
        key = _key_source(keys)
        write(f"{indent}{target} = get{number}({key})")
        write(f"{indent}if {target} is None:")
        owned = [(relation, child) for relation, child in children if relation.owns_key]
        others = [(relation, child) for relation, child in children if not relation.owns_key]
        owner, parts = None, []
        if inverse is not None and not number:
            local = [(a, columns[a]) for a in inverse.local]
            parts = [v if a in mapper.pk else self.decoded(a, v) for a, v in local]
            owner = _key_source(parts)
        if mapper.subclasses:
            self.dispatch(mapper, columns, number, f"{indent}    ")
            if owner is not None:
                assert inverse is not None
                self.names["set_owner"] = inverse.set
                write(f"{indent}    set_owner({target}, owner_of({owner}, UNSET))")
            for relation, child in owned:
                write(f"{indent}    fill_{target}_{relation.name}({target}, {child})")
        else:
            known = {relation.slot: child for relation, child in owned}
            if owner is not None:
                assert inverse is not None
                known[inverse.slot] = f"owner_of({owner}, UNSET)"
            self.build(mapper, target, columns, known, str(number), f"{indent}    ")
        write(f"{indent}    found{number}[{key}] = {target}")
        if number:
            write(f"{indent}    append{number}({target})")
        write(f"{indent}elif {target}._ctx_ is not context{number}:")
        write(f"{indent}    set_context{number}({target}, context{number})")
        if number:
            write(f"{indent}    append{number}({target})")
        if owner is not None:
            assert inverse is not None
            self.names |= {"fill_owner": inverse.fill, "inverse": inverse, "whole": mapper.clean}
            write(f"{indent}    if type({target}) is not whole:")
            write(f"{indent}        session.key_read(inverse, {target}, ({', '.join(parts)},))")
            write(f"{indent}    owner = owner_of({owner})")
            write(f"{indent}    if owner is not None:")
            write(f"{indent}        fill_owner({target}, owner)")
        for relation, _ in children:
            self.names[f"fill_{target}_{relation.name}"] = relation.fill
        for relation, child in owned:
            write(f"{indent}    fill_{target}_{relation.name}({target}, {child})")
        for relation, child in others:
            write(f"{indent}fill_{target}_{relation.name}({target}, {child})")
        return target

    def build(
        self,
        mapper: Mapper,
        target: str,
        columns: dict[Attribute, str],
        known: dict[str, str],
        suffix: str,
        indent: str,
    ) -> None:
        """Write what makes an instance; `known` are the variables of related objects by slot."""
        write = self.body.append
        complete = all(attribute in columns for attribute in mapper.attributes.values())
        self.names[f"M{suffix}"] = mapper.model
        self.names[f"C{suffix}"] = mapper.clean if complete else mapper.partial
        write(f"{indent}{target} = new(M{suffix})")
        for attribute, variable in columns.items():
            self.store(mapper, target, attribute, variable, indent)
        for relation in mapper.key_relations:
            # An explicit UNSET is found without an exception, unlike an empty slot.
            write(f"{indent}{target}.{relation.slot} = {known.get(relation.slot, 'UNSET')}")
        write(f"{indent}{target}._extra_ = None")
        write(f"{indent}{target}._ctx_ = context{suffix}")
        write(f"{indent}{target}.__class__ = C{suffix}")

    def dispatch(self, mapper: Mapper, columns: dict[Attribute, str], number: int, indent: str) -> None:
        """Write what makes an instance of the class that the row's discriminator names."""
        assert mapper.discriminator is not None
        encoder = self.dialect.encoder(mapper.discriminator.type)
        makers = {}
        for member in mapper.family():
            value = member.discriminator_value
            makers[value if encoder is None else encoder(value)] = self.maker(member, columns)
        self.names[f"makers{number}"] = makers
        self.names["unknown_value"] = unknown_value
        self.names[f"base{number}"] = mapper
        kind = columns[mapper.discriminator]
        self.body += [
            f"{indent}make{number} = makers{number}.get({kind})",
            f"{indent}if make{number} is None:",
            f"{indent}    raise unknown_value(base{number}, {kind})",
            f"{indent}o{number} = make{number}(context{number}, {', '.join(columns.values())})",
        ]

    def maker(self, mapper: Mapper, columns: dict[Attribute, str]) -> Any:
        """Generate `make(context, *columns)`, which makes an instance of one class from a row of several."""
        writer = _Writer(self.dialect)
        own = {a: variable for a, variable in columns.items() if mapper.attributes.get(a.name) is a}
        writer.build(mapper, "o", own, {}, "", "    ")
        head = f"def make(context, {', '.join(columns.values())}):"
        return make_function("make", "\n".join([head, *writer.body, "    return o", ""]), writer.names)

    def store(self, mapper: Mapper, target: str, attribute: Attribute, variable: str, indent: str) -> None:
        """Write the store of one column into a new instance."""
        if attribute.mutable:
            self.body += [
                f"{indent}if {variable} is None:",
                f"{indent}    {target}.{attribute.slot} = None",
                f"{indent}else:",
                f"{indent}    {target}.{attribute.slot} = UNSET",
                f"{indent}    {target}.{attribute.raw_slot} = {variable}",
            ]
        elif attribute in mapper.pk:
            self.body.append(f"{indent}{target}.{attribute.slot} = {variable}")
        else:
            self.body.append(f"{indent}{target}.{attribute.slot} = {self.decoded(attribute, variable)}")


def make_entity_loader(shape: Shape, dialect: Dialect, extras: Sequence[tuple[str, Any]] = ()) -> Any:
    """Generate `load(rows, identity, session, lazy)`, which returns the list of root entities.

    `extras` are further columns of the row (name, decoder) that go into the entity's extra values.
    """
    writer = _Writer(dialect)
    root = writer.entity(shape, "        ", False)
    writer.names["extra"] = shape.mapper.extra
    for name, decoder in extras:
        variable = writer.variable()
        value = variable
        if decoder is not None:
            writer.reading.columns.append((name, variable, decoder))
            value = f"None if {variable} is None else {writer.converted(decoder, variable)}"
        writer.body.append(f"        extra({root})[{name!r}] = {value}")
    if extras:
        writer.names["loosen"] = shape.mapper.loosen
        writer.body.append(f"        loosen({root})")
    return _finish(writer, f"        append({root})")


def _key_source(variables: Sequence[str]) -> str:
    """Return the source of a key: one variable, or a tuple of several."""
    return variables[0] if len(variables) == 1 else f"({', '.join(variables)})"


def make_child_loader(shape: Shape, dialect: Dialect, inverse: Relation) -> Any:
    """Generate `load(rows, identity, session, lazy, owners, buckets)` for the many side of a relation.

    `owners` maps keys to the objects that `inverse` of a row points at, `buckets` to the lists that collect
    their rows' entities. It returns the list of all entities.
    """
    writer = _Writer(dialect)
    root = writer.entity(shape, "        ", False, inverse)
    writer.head.append("    owner_of = owners.get")
    key = _key_source([f"{root}.{attribute.slot}" for attribute in inverse.local])
    last = [
        f"        append({root})",
        f"        if {key} in buckets:",
        f"            buckets[{key}].append({root})",
    ]
    return _finish(writer, "\n".join(last), signature=", owners, buckets")


def make_keyed_loader(shape: Shape, dialect: Dialect, key: Sequence[Attribute]) -> Any:
    """Generate `load(rows, identity, session, lazy)` for rows that end in the key of an owner.

    It returns a dictionary from owner key to the list of its entities.
    """
    writer = _Writer(dialect)
    root = writer.entity(shape, "        ", False)
    variables = []
    for attribute in key:
        variable = writer.variable()
        if dialect.decoder(attribute.type) is not None:
            writer.body.append(f"        {variable} = {writer.decoded(attribute, variable)}")
        variables.append(variable)
    owner = _key_source(variables)
    writer.head.append("    buckets = {}")
    body = [
        f"        append({root})",
        f"        if {owner} in buckets:",
        f"            buckets[{owner}].append({root})",
        "        else:",
        f"            buckets[{owner}] = [{root}]",
    ]
    return _finish(writer, "\n".join(body), "buckets")


def make_row_loader(parts: Sequence[Any], dialect: Dialect, row_class: Any) -> Any:
    """Generate `load(rows, identity, session, lazy)` for rows of columns and entities.

    `parts` holds a `Shape` for an entity and a decoder (or None) for a column; each row becomes a
    `row_class`.
    """
    writer = _Writer(dialect)
    values = []
    for position, part in enumerate(parts):
        if isinstance(part, Shape):
            if writer.entities == 0:
                writer.entities = 1  # context 0 belongs to a root entity; here rows are the result
            values.append(writer.entity(part, "        ", True))
            continue
        variable = writer.variable()
        if part is None:
            values.append(variable)
        else:
            name = row_class._labels_[position] or str(position)
            writer.reading.columns.append((name, variable, part))
            values.append(f"None if {variable} is None else {writer.converted(part, variable)}")
    writer.names["make"] = tuple.__new__
    writer.names["Row"] = row_class
    trailing = "," if len(values) == 1 else ""
    return _finish(writer, f"        append(make(Row, ({', '.join(values)}{trailing})))")


def _finish(writer: _Writer, last: str, result: Optional[str] = None, signature: str = "") -> Any:
    unpacked = ", ".join(writer.variables) + ("," if len(writer.variables) == 1 else "")
    loop = "\n".join([f"    for {unpacked} in rows:", *writer.body, last])
    writer.names["refuse"] = partial(writer.reading.refuse, writer.dialect.decoder)
    source = "\n".join(
        [
            f"def load(rows, identity, session, lazy{signature}):",
            "    out = []",
            "    append = out.append",
            *writer.head,
            "    try:",  # around all rows: it costs nothing for each
            indent(loop, "    "),
            "    except Exception as error:",
            "        refuse(error, locals())",
            "        raise",
            f"    return {result or 'out'}",
            "",
        ]
    )
    return make_function("load", source, writer.names)
