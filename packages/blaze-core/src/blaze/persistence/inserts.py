"""Insert new objects: few statements, keys back on the objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Optional

from blaze.core.slots import clear_slot
from blaze.core.specs import UNSET
from blaze.core.validation import refuse_deleted, refuse_disagreement
from blaze.errors import SessionError
from blaze.persistence.keys import check_keys
from blaze.persistence.meanwhile import Meanwhile
from blaze.persistence.stored import value_before
from blaze.plan import Execute, Plan

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation
    from blaze.dialects.features import Features
    from blaze.persistence.base import SessionBase
    from blaze.sql.table import Table

# Rows of one multi-row INSERT: more does not pay, and few sizes mean few statement texts.
CHUNK = 500


class InsertedGroup:
    """Objects of one model that were inserted with the same columns.

    `missing` are the columns that were left to the database, the generated key among them when `generated`;
    `complete` says that no column waits to be read. `raws` holds the encoded values of mutable columns, one
    list for each.
    """

    __slots__ = ("complete", "generated", "instances", "mapper", "missing", "raws")

    def __init__(
        self, mapper: Mapper, instances: list[Any], missing: tuple[Attribute, ...], complete: bool
    ) -> None:
        self.mapper = mapper
        self.instances = instances
        self.missing = missing
        self.generated = mapper.identity is not None and mapper.identity in missing
        self.complete = complete
        self.raws: dict[Attribute, list[Any]] = {}


class Inserter:
    """The inserting part of a flush.

    `groups` is what was written; `postponed` are relations to objects that had no row yet, to be completed by
    an update; `waiting` are the models whose new objects are not inserted yet.
    """

    def __init__(self, session: SessionBase) -> None:
        self.session = session
        self.codecs = session.compilation.codecs
        self.features = session.dialect.features
        self.groups: list[InsertedGroup] = []
        self.postponed: list[tuple[Any, Relation]] = []
        self.waiting: set[Mapper] = set()
        self.meanwhile = Meanwhile(session.asynchronous)
        self.versioned: list[tuple[Attribute, Any]] = []
        self.moving: dict[int, Any] = {}  # objects whose key changes in this flush, as long as it has not
        self.alone = False  # whether one INSERT is the whole transaction

    def take_back(self) -> None:
        """Take what the flush put on new objects off again: keys, server defaults, first versions."""
        for group in self.groups:
            for instance in group.instances:
                take_off(group, instance)
        for version, instance in self.versioned:
            version.set(instance, None)

    def insert_all(self, instances: list[Any]) -> Plan[None]:
        """Insert the new objects of one model, or of the models of one hierarchy: in one batch for each, or
        level by level along self-references.
        """
        groups = by_mapper(instances)
        base = next(iter(groups)).base
        self.waiting.discard(base)
        own = {relation: None for m in groups for relation in m.key_relations if relation.target.base is base}
        levels, circular = roots_first(list(own), instances) if own else ([instances], [])
        if base.identity is not None and (own or len(groups) > 1):
            levels = keys_first(base.identity, own, levels)
        for level in levels:
            for mapper, group in (by_mapper(level) if own or len(levels) > 1 else groups).items():
                self.take_keys(mapper, group)
                yield from self.insert(mapper, group)
        if circular:
            self.waiting.add(base)  # what is left refers to itself in circles
            groups, batch = by_mapper(circular), {id(o) for o in circular}
            for mapper, group in groups.items():
                self.take_keys(mapper, group, batch)
            self.waiting.discard(base)
            for mapper, group in groups.items():
                yield from self.insert(mapper, group)

    def take_keys(self, mapper: Mapper, instances: Sequence[Any], circle: Optional[set[int]] = None) -> None:
        """Copy the keys of related objects; a key that is not known yet is completed by an update later.

        `circle` are the objects of one hierarchy that refer to each other and are inserted next.
        """
        for relation in mapper.key_relations:
            peek, target = relation.peek, relation.target
            circular = relation.nullable and target.base in self.waiting
            batch = circle if target.base is mapper.base else None
            for instance in instances:
                related = peek(instance)
                if related is None or related is UNSET:
                    continue
                if target.key(related) is not None and not (circular and self.is_waiting(related, batch)):
                    if id(related) in self.moving:  # the row follows by ON UPDATE CASCADE
                        take_key_before(relation, instance, related)
                    else:
                        relation.take_key(instance, related)
                    continue
                if not relation.nullable:
                    raise SessionError(
                        f"{mapper.name}.{relation.name}: the {target.name} it needs is inserted after it; "
                        "the objects need each other in a circle and the key is NOT NULL. Make one of the "
                        "keys Optional"
                    )
                relation.take_key(instance, None)
                self.postponed.append((instance, relation))
        if mapper.sharing:
            for relation in mapper.sharing:
                for instance in instances:
                    if relation.peek(instance) is None and relation.key_of(instance) is not None:
                        clear_slot(mapper, instance, relation.slot)  # another relation has given its key
            refuse_disagreement(mapper, [o for o in instances if not self.is_moving(mapper, o)])

    def is_moving(self, mapper: Mapper, instance: Any) -> bool:
        """Whether the key of an object that this one refers to changes in this flush."""
        return bool(self.moving) and any(id(r.peek(instance)) in self.moving for r in mapper.sharing)

    def is_waiting(self, related: Any, batch: Optional[set[int]]) -> bool:
        """Whether a related object of a circle of keys has no row yet; `batch` is being inserted."""
        return id(related) in (self.session.work.new if batch is None else batch)

    def insert(self, mapper: Mapper, instances: list[Any]) -> Plan[None]:
        """Insert objects of one model, grouped by the columns that they leave to the database."""
        identity = mapper.identity
        version = mapper.version
        if version is not None:
            for instance in instances:
                if version.peek(instance) in (None, UNSET):
                    version.set(instance, 1)
                    self.versioned.append((version, instance))
        filled = mapper.filled
        groups: dict[tuple[Attribute, ...], list[Any]] = {}
        if filled:
            for instance in instances:
                missing = tuple(
                    a for a in filled if a.peek(instance) is UNSET or a.spec.generated is not None
                )
                if identity is not None and identity.peek(instance) in (None, UNSET):
                    missing = (identity, *missing)
                groups.setdefault(missing, []).append(instance)
        elif identity is not None:
            get = identity.get
            try:
                given = [o for o in instances if get(o) is not None]
            except AttributeError:
                for instance in instances:
                    refuse_deleted(mapper, instance)
                raise
            if given:
                groups[()] = given
            if len(given) < len(instances):
                groups[(identity,)] = [o for o in instances if get(o) is None] if given else instances
        else:
            groups[()] = instances
        for missing, group in given_first(identity, groups):
            if missing == (identity,):
                attributes = mapper.written
            else:
                attributes = tuple(a for a in mapper.columns if a not in missing and a.spec.generated is None)
            yield from self.insert_group(mapper, attributes, missing, group)

    def insert_group(
        self,
        mapper: Mapper,
        attributes: tuple[Attribute, ...],
        missing: tuple[Attribute, ...],
        instances: list[Any],
    ) -> Plan[None]:
        """Return the plan that inserts objects which leave the same columns to the database."""
        group = InsertedGroup(mapper, instances, missing, not missing or self.features.returning)
        self.groups.append(group)
        group.raws = {attribute: [] for attribute in attributes if attribute.mutable}
        if len(mapper.tables) == 1:
            return self.insert_rows(group, attributes, missing)
        return self.insert_joined(group, attributes, missing)

    def insert_joined(
        self, group: InsertedGroup, attributes: tuple[Attribute, ...], missing: tuple[Attribute, ...]
    ) -> Plan[None]:
        """Insert the rows of a group into each of its tables."""
        mapper = group.mapper
        given, left = mapper.by_table(attributes), mapper.by_table(missing)
        for table in mapper.tables:
            own = given.get(table, ())
            keys = () if table is mapper.table else mapper.pk
            yield from self.insert_rows(group, (*keys, *own), left.get(table, ()), table)

    def insert_rows(
        self,
        group: InsertedGroup,
        attributes: tuple[Attribute, ...],
        missing: tuple[Attribute, ...],
        table: Optional[Table] = None,
    ) -> Plan[None]:
        """Insert the rows of a group into its table, or into one of its tables."""
        mapper = group.mapper
        generated = mapper.identity is not None and mapper.identity in missing
        returned = missing
        if missing and not generated:
            returned = (*mapper.pk, *missing)
        singly = bool(missing) and not self.features.returning
        # Without a way to give them back, keys are reckoned from the first one, where that is sure.
        step = self.features.consecutive_keys if missing == (mapper.identity,) else 0
        parts = self.singles if singly and not step else self.parts
        for chunk, sql, params in parts(group, attributes, () if singly else returned, table):
            consume = list if returned and not singly else None
            if self.alone and not self.postponed:
                command: Execute = self.session.lone_command(sql, params, consume)
            else:
                command = Execute(sql, params, consume, True)
            result = yield from self.session.send(command)
            if singly and generated:
                first = result.lastrowid
                self.give_keys(mapper, chunk, [(first + number * step,) for number in range(len(chunk))])
            elif generated:
                # Generated keys ascend in the order of the rows of a statement; the result's order is free.
                result.sort()
                self.give_keys(mapper, chunk, result)
                if len(returned) > 1:
                    self.fill(mapper, returned, zip(chunk, result))
            elif returned and not singly:
                by_key = {mapper.key(instance): instance for instance in chunk}
                self.fill(mapper, returned, [(by_key[self.key_of(mapper, row)], row) for row in result])

    def parts(
        self, group: InsertedGroup, attributes: tuple[Attribute, ...], returned: Any, table: Optional[Table]
    ) -> Iterator[tuple[list[Any], str, Sequence[Any]]]:
        """Yield the objects of each INSERT with its text and parameters."""
        instances, codec, features = group.instances, self.codecs[group.mapper], self.features
        width = len(attributes)
        mutable = [(position, a) for position, a in enumerate(attributes) if a.mutable]
        batch = None
        if features.row_batches and len(instances) > 1:
            batch = codec.insert_batch(attributes, returned, table)
        if batch is not None:
            done = 0
            taken = codec.taker(attributes, False)(instances)
            self.note(group, instances)
            for rows in batch.parts(taken):
                for position, attribute in mutable:
                    group.raws[attribute] += [row[position] for row in rows]
                sql, params = batch.render(rows)
                yield instances[done : done + len(rows)], sql, params
                done += len(rows)
            return
        size = rows_at_once(features, group.mapper.identity in group.missing, width, CHUNK)
        take = codec.taker(attributes, True)
        for start in range(0, len(instances), size):
            chunk = instances if len(instances) <= size else instances[start : start + size]
            values = take(chunk)
            for position, attribute in mutable:
                group.raws[attribute] += values[position::width]
            self.note(group, chunk)
            yield chunk, codec.insert_sql(attributes, returned, len(chunk), table), values

    def singles(
        self, group: InsertedGroup, attributes: tuple[Attribute, ...], returned: Any, table: Optional[Table]
    ) -> Iterator[tuple[list[Any], str, Sequence[Any]]]:
        """Yield each object with its INSERT: the driver tells the generated key of one row only."""
        codec = self.codecs[group.mapper]
        take = codec.taker(attributes, True)
        for instance in group.instances:
            values = take((instance,))
            for value, attribute in zip(values, attributes):
                if attribute.mutable:
                    group.raws[attribute].append(value)
            self.note(group, (instance,))
            yield [instance], codec.insert_sql(attributes, returned, 1, table), values

    def note(self, group: InsertedGroup, instances: Sequence[Any]) -> None:
        """Remember what is sent of objects, which other tasks may change until the flush is done."""
        if self.meanwhile.active:
            self.meanwhile.note(group.mapper, instances, group.missing)

    def give_keys(self, mapper: Mapper, instances: list[Any], rows: Sequence[Any]) -> None:
        """Put generated keys on the objects."""
        check_keys(mapper, instances, rows)
        identity = mapper.identity
        assert identity is not None
        set_key = identity.set
        for instance, row in zip(instances, rows):
            set_key(instance, row[0])

    def key_of(self, mapper: Mapper, row: Sequence[Any]) -> Any:
        """Return the primary key at the start of a returned row."""
        codec = self.codecs[mapper]
        values = tuple(codec.decode(attribute, value) for attribute, value in zip(mapper.pk, row))
        return values[0] if len(values) == 1 else values

    def fill(self, mapper: Mapper, returned: tuple[Attribute, ...], pairs: Any) -> None:
        """Store what the database filled in; key columns are known already."""
        codec = self.codecs[mapper]
        for instance, row in pairs:
            for attribute, value in zip(returned, row):
                if attribute in mapper.pk:
                    continue
                if attribute.mutable and value is not None:
                    attribute.raw_set(instance, value)
                else:
                    attribute.set(instance, codec.decode(attribute, value))


def take_key_before(relation: Relation, instance: Any, related: Any) -> None:
    """Copy the key that a related object has in the database."""
    mapper = type(related).__mapper__
    for local, remote in zip(relation.local, relation.remote):
        local.set(instance, value_before(mapper, related, remote))


def by_mapper(instances: list[Any]) -> dict[Mapper, list[Any]]:
    """Group objects of one hierarchy by their mapper."""
    first: Mapper = type(instances[0]).__mapper__
    if first.parent is None and not first.subclasses:
        return {first: instances}
    found: dict[Mapper, list[Any]] = {}
    for instance in instances:
        found.setdefault(type(instance).__mapper__, []).append(instance)
    return found


def rows_at_once(features: Features, generated: bool, width: int, most: int) -> int:
    """Return how many rows of so many values one INSERT takes, of keys that are `generated` or of others."""
    if width:
        return max(min(most, features.max_bind_params // width), 1)
    return most if generated and features.default_key else 1


def given_first(identity: Any, groups: dict[Any, list[Any]]) -> list[tuple[Any, list[Any]]]:
    """Return groups by what they leave to the database, given keys first: it counts on from the largest."""
    return sorted(groups.items(), key=lambda found: identity in found[0])


def keys_first(identity: Attribute, own: Iterable[Relation], levels: list[list[Any]]) -> list[list[Any]]:
    """Put before the levels of objects of a hierarchy what comes with its keys there, unless it refers to a
    new one that does not.
    """
    first, then, waiting = [], [], set()
    for level in levels:
        early, late = [], []
        for o in level:
            given = identity.peek(o) not in (None, UNSET)
            if given and not any(id(relation.peek(o)) in waiting for relation in own):
                early.append(o)
            else:
                late.append(o)
                waiting.add(id(o))
        first.append(early)
        then.append(late)
    return [level for level in (*first, *then) if level]


def roots_first(own: list[Relation], instances: list[Any]) -> tuple[list[list[Any]], list[Any]]:
    """Return objects of a model that refers to itself in levels, each after those it refers to.

    The second list is what refers to each other in circles, with all that refers to those; an object that
    refers to itself only is none of them.
    """
    places = {id(o): place for place, o in enumerate(instances)}
    children: dict[int, list[int]] = {}
    parents = [0] * len(instances)
    for place, instance in enumerate(instances):
        for relation in own:
            parent = places.get(id(relation.peek(instance)), place)
            if parent != place:
                parents[place] += 1
                children.setdefault(parent, []).append(place)
    levels: list[list[Any]] = []
    ready = [place for place, count in enumerate(parents) if not count]
    left = len(instances)
    while ready:
        levels.append([instances[place] for place in ready])
        left -= len(ready)
        following: list[int] = []
        for place in ready:
            for child in children.get(place, ()):
                parents[child] -= 1
                if not parents[child]:
                    following.append(child)
        following.sort()
        ready = following
    return levels, [o for place, o in enumerate(instances) if parents[place]] if left else []


def take_off(group: InsertedGroup, instance: Any) -> None:
    """Take off an object what the database filled in when it was inserted."""
    mapper = group.mapper
    for attribute in group.missing:
        if attribute is mapper.identity:
            attribute.set(instance, None)
        else:
            clear_slot(mapper, instance, attribute.slot)
            if attribute.raw_slot is not None:
                clear_slot(mapper, instance, attribute.raw_slot)
