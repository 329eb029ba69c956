"""Update changed objects: one batch for each model and set of changed columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Optional

from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET
from blaze.errors import CheckError, ModelError, StaleDataError, ValidationError
from blaze.persistence.batches import write_rows
from blaze.persistence.handover import Exchange, by_mapper, refused_by_check, with_parked
from blaze.persistence.key_changes import KeyMoves
from blaze.persistence.late_values import read_present
from blaze.persistence.loading import chunks, keys_condition
from blaze.persistence.stored import text_before
from blaze.plan import Execute, Plan
from blaze.sql.builders import SelectBuilder

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.persistence.base import SessionBase
    from blaze.persistence.handover import Columns, Parked
    from blaze.persistence.inserts import Inserter


class UpdatedGroup:
    """Objects of one model whose same columns were updated.

    `olds` are their snapshots from before, `raws` the former undecoded values of mutable columns (empty
    without any), and `moved` says that a primary key changed.
    """

    __slots__ = ("attributes", "instances", "mapper", "moved", "mutable", "olds", "raws", "sent")

    def __init__(self, mapper: Mapper, attributes: tuple[Attribute, ...], instances: list[Any]) -> None:
        get_old = mapper.get_old
        self.mapper = mapper
        self.attributes = attributes
        self.instances = instances
        self.olds: list[Any] = [get_old(instance) for instance in instances]
        self.mutable = [a for a in attributes if a.mutable]
        self.raws: list[dict[Attribute, Any]] = []
        if self.mutable:
            self.raws = [{a: text_before(mapper, o, a) for a in self.mutable} for o in instances]
        self.sent: dict[Attribute, list[Any]] = {}
        self.moved = any(attribute in mapper.pk for attribute in attributes)


class Updater:
    """The updating part of a flush; `groups` is what was updated."""

    def __init__(self, session: SessionBase, inserter: Inserter) -> None:
        self.session = session
        self.inserter = inserter
        self.codecs = session.compilation.codecs
        self.groups: list[UpdatedGroup] = []
        # What the flush has put on objects by itself: `on_update` values, and what the database computes.
        self.replaced: list[tuple[Attribute, Any, Any]] = []
        self.done: set[int] = set()  # what was written before the new rows of its table
        self.parked: dict[int, set[int]] = {}  # the positions of the columns that rows gave up
        self.moves = KeyMoves(session.dialect.features.foreign_keys)

    def update_all(self, instances: list[Any]) -> Plan[None]:
        """Update what changed, then complete keys that were not known when their rows were inserted."""
        if self.done:
            instances = [o for o in instances if id(o) not in self.done]
        together: dict[Mapper, list[tuple[Mapper, list[Any]]]] = {}
        for mapper, group in by_mapper(instances).items():
            together.setdefault(mapper.base, []).append((mapper, group))
        waiting = list(together.values())
        if self.inserter.moving:  # rows that refer to a changing key are written before it changes
            moving = {type(o).__mapper__.base for o in self.inserter.moving.values()}
            waiting.sort(key=lambda groups: groups[0][0].base in moving)
        for groups in waiting:
            yield from self.update_some(groups)
        yield from self.complete()

    def update_before(self, instances: list[Any]) -> Plan[None]:
        """Update objects of one hierarchy before the new rows of its tables are inserted."""
        self.done.update(map(id, instances))
        yield from self.update_some(by_mapper(instances).items())

    def update_some(self, groups: Iterable[tuple[Mapper, list[Any]]]) -> Plan[None]:
        """Update objects of one model, or of the models of one hierarchy, in an order in which every unique
        value is free when it is taken.
        """
        passing: list[tuple[Columns, list[Any]]] = []
        others: list[tuple[Columns, list[Any]]] = []
        for mapper, instances in groups:
            self.inserter.take_keys(mapper, instances)
            unique = mapper.passing_indexes
            changed = self.by_columns(mapper, instances)
            if changed:
                mapper.require_table()
            for indexes, found in changed.items():
                (others if unique.isdisjoint(indexes) else passing).append(((mapper, indexes), found))
        if len(passing) > 1 or (passing and len(passing[0][1]) > 1):
            columns = {id(o): key for key, found in passing for o in found}
            exchange = Exchange([o for _, found in passing for o in found])
            if exchange.keepers:
                yield from read_present(self.session, exchange)
            passing, parked = exchange.order(columns, self.session.dialect.features.row_batches)
            if parked:
                yield from self.park(parked)
        if self.parked:
            passing = with_parked(passing, self.parked)
        for (mapper, indexes), found in (*others, *passing):
            yield from self.update(mapper, tuple(mapper.columns[index] for index in indexes), found)

    def park(self, parked: Parked) -> Plan[None]:
        """Have rows give up unique values before they are written or deleted."""
        groups: dict[Attribute, list[tuple[Any, Any]]] = {}
        for instance, attribute, value in parked:
            index = type(instance).__mapper__.columns.index(attribute)
            self.parked.setdefault(id(instance), set()).add(index)
            groups.setdefault(attribute, []).append((instance, value))
        for attribute, found in groups.items():
            mapper = type(found[0][0]).__mapper__
            codec = self.codecs[mapper]
            keys = self.moves.keys(mapper, [instance for instance, _ in found])
            params = [
                (codec.encode(attribute, value), *codec.key_params(key))
                for (_, value), key in zip(found, keys)
            ]
            try:
                yield from write_rows(self.session, codec.update_keyed((attribute,), False), params)
            except CheckError as error:
                raise refused_by_check(attribute, found[0][0], error) from error
            if attribute in mapper.pk:
                number, single = mapper.pk.index(attribute), len(mapper.pk) == 1
                now = [
                    value if single else (*key[:number], value, *key[number + 1 :])
                    for (_, value), key in zip(found, keys)
                ]
                self.moves.note(mapper, keys, now)

    def by_columns(self, mapper: Mapper, instances: list[Any]) -> dict[tuple[int, ...], list[Any]]:
        """Group instances by the positions of their changed columns; unchanged ones are left out."""
        found: dict[tuple[int, ...], list[Any]] = {}
        diff, get_old = self.codecs[mapper].diff, mapper.get_old
        automatic = mapper.on_update_indexes
        for instance in instances:
            indexes = diff(instance, get_old(instance))
            if not indexes:
                if self.inserter.meanwhile.active:
                    self.inserter.meanwhile.note(mapper, [instance])
                continue
            for index in automatic:
                if index not in indexes:
                    attribute = mapper.columns[index]
                    self.replaced.append((attribute, instance, attribute.peek(instance)))
                    make = attribute.spec.on_update
                    assert make is not None
                    attribute.set(instance, make())
                    indexes.append(index)
            key = tuple(sorted(indexes)) if automatic else tuple(indexes)
            if key in found:
                found[key].append(instance)
            else:
                found[key] = [instance]
        return found

    def update(self, mapper: Mapper, attributes: tuple[Attribute, ...], instances: list[Any]) -> Plan[None]:
        """Update objects of one model whose same columns changed."""
        group = UpdatedGroup(mapper, attributes, instances)
        self.groups.append(group)
        keys = self.moves.keys(mapper, instances) if group.moved or self.moves else None
        if group.moved:
            refuse_no_key(mapper, instances)
        version = mapper.version
        if version is not None:
            attributes = (*(a for a in attributes if a is not version), version)
            position = mapper.columns.index(version)
            for instance, old in zip(instances, group.olds):
                version.set(instance, old[position] + 1)
        if self.inserter.meanwhile.active:
            self.inserter.meanwhile.note(mapper, instances)
        if len(mapper.tables) == 1:
            yield from self.update_rows(group, attributes, version, keys)
        else:
            yield from self.update_tables(group, attributes, version, keys)
        if group.moved and keys is not None:
            self.moves.note(mapper, keys, mapper.keys(instances))
            for instance in instances:
                self.inserter.moving.pop(id(instance), None)
        if mapper.computed:
            yield from self.read_computed(mapper, instances)

    def update_tables(
        self,
        group: UpdatedGroup,
        attributes: tuple[Attribute, ...],
        version: Optional[Attribute],
        keys: Optional[list[Any]],
    ) -> Plan[None]:
        """Update the rows of a group in every one of its joined tables that changed."""
        mapper = group.mapper
        if group.moved:
            raise ModelError(
                f"{mapper.where}: the key of a model with joined tables cannot change; delete the object "
                "and add another one"
            )
        parts = mapper.by_table(attributes)
        for table in mapper.tables:
            if table in parts:
                own = version if table is mapper.table else None
                yield from self.update_rows(group, parts[table], own, keys)

    def update_rows(
        self,
        group: UpdatedGroup,
        attributes: tuple[Attribute, ...],
        version: Optional[Attribute],
        keys: Optional[list[Any]],
    ) -> Plan[None]:
        """Update the rows of a group in the table of these attributes; the version is that of the table.

        `keys` are those of the rows where they may be others than in the snapshots.
        """
        mapper, instances, codec = group.mapper, group.instances, self.codecs[group.mapper]
        rows = codec.taker(attributes, False)(instances)
        mutable = [attribute for attribute in group.mutable if attribute in attributes]
        group.sent.update({a: [row[attributes.index(a)] for row in rows] for a in mutable})
        params = [row + place for row, place in zip(rows, self.places(group, version, keys))]
        count = yield from write_rows(self.session, codec.update_keyed(attributes), params)
        if count >= 0 and count != len(instances):
            raise stale("UPDATE", mapper, instances, count)

    def read_computed(self, mapper: Mapper, instances: list[Any]) -> Plan[None]:
        """Read what the database has computed from the new values."""
        session = self.session
        by_key = {mapper.key(instance): instance for instance in instances}
        pk = [mapper.column_at(mapper.source, a) for a in mapper.pk]
        wanted = [*pk, *(mapper.column_at(mapper.source, a) for a in mapper.computed)]
        for chunk in chunks(session, list(by_key), len(pk)):
            builder = SelectBuilder(mapper.source).columns(*wanted).where(keys_condition(pk, chunk))
            statement = builder.build()
            sql, params = session.compilation.kept(statement).render(statement.binds)
            rows = yield from session.send(Execute(sql, params, list))
            pairs = [(by_key[self.inserter.key_of(mapper, row)], row) for row in rows]
            for instance, _ in pairs:
                for attribute in mapper.computed:
                    self.replaced.append((attribute, instance, attribute.peek(instance)))
                    clear_slot(mapper, instance, attribute.slot)
            self.inserter.fill(mapper, (*mapper.pk, *mapper.computed), pairs)

    def places(
        self, group: UpdatedGroup, version: Optional[Attribute], keys: Optional[list[Any]]
    ) -> list[tuple[Any, ...]]:
        """Return where the rows are: the keys, and the versions, that they have in the database."""
        mapper, columns = group.mapper, group.mapper.columns
        if keys is not None:
            found: list[tuple[Any, ...]] = self.codecs[mapper].keys_params(keys)
            if version is None:
                return found
            position, encode = columns.index(version), self.codecs[mapper].encode
            return [(*key, encode(version, old[position])) for key, old in zip(found, group.olds)]
        where = mapper.pk if version is None else (*mapper.pk, version)
        positions = [columns.index(attribute) for attribute in where]
        encoders = [self.session.dialect.encoder(attribute.type) for attribute in where]
        if len(positions) == 1 and encoders[0] is None:
            (only,) = positions
            return [(old[only],) for old in group.olds]
        return [
            tuple(old[p] if e is None else e(old[p]) for p, e in zip(positions, encoders))
            for old in group.olds
        ]

    def key_now(self, instance: Any) -> Any:
        """Return the key that the row of an object has after the updates so far, or that of a new one."""
        mapper = type(instance).__mapper__
        new = not self.moves or mapper.is_new(instance)
        return mapper.key(instance) if new else self.moves.key(mapper, instance)

    def take_back(self) -> None:
        """Give objects their former versions, and what the flush has replaced by itself."""
        for attribute, instance, value in self.former():
            if value is UNSET:
                clear_slot(type(instance).__mapper__, instance, attribute.slot)
            else:
                attribute.set(instance, value)

    def former(self) -> Iterator[tuple[Attribute, Any, Any]]:
        """Yield what the flush has replaced by itself, the last replacement first."""
        yield from reversed(self.replaced)
        for group in self.groups:
            version = group.mapper.version
            if version is not None:
                position = group.mapper.columns.index(version)
                for instance, old in zip(group.instances, group.olds):
                    yield version, instance, old[position]

    def complete(self) -> Plan[None]:
        """Write the keys of relations to objects that were inserted later."""
        groups: dict[Any, list[Any]] = {}
        for instance, relation in self.inserter.postponed:
            related = relation.peek(instance)
            if related is not UNSET:  # else the key was given
                relation.take_key(instance, related)
            self.inserter.meanwhile.completed(instance, relation)
            groups.setdefault(relation, []).append(instance)
        for relation, instances in groups.items():
            codec = self.codecs[relation.owner]
            params = [
                (
                    *(codec.encode(a, a.peek(instance)) for a in relation.local),
                    *codec.key_params(self.key_now(instance)),
                )
                for instance in instances
            ]
            yield from write_rows(self.session, codec.update_keyed(relation.local, False), params)


def refuse_no_key(mapper: Mapper, instances: list[Any]) -> None:
    """Raise `ValidationError` for a saved object whose key was set to None."""
    for instance in instances:
        errors = {
            attribute.name: ["must not be None: the row of a saved object keeps a key; give another one"]
            for attribute in mapper.pk
            if attribute.peek(instance) is None
        }
        if errors:
            raise ValidationError(errors, model=mapper.model)


def stale(what: str, mapper: Mapper, instances: list[Any], count: int) -> StaleDataError:
    """Return the error for rows that were no longer there."""
    keys = [mapper.key(instance) for instance in instances[:5]]
    more = ", ..." if len(instances) > 5 else ""
    return StaleDataError(
        f"{what} of {len(instances)} {mapper.name} (key {', '.join(map(mapper.shown_key, keys))}{more}) "
        f"met {count} rows: "
        "somebody else changed or deleted them; rollback(), refresh() and try again"
    )
