"""Unique values that change hands within one flush: who has to be written before whom.

Databases check a unique constraint row by row, so the row that gives a value up goes before the one that
takes it: deleted rows before inserts, changed rows before new ones of their table, changed rows in order.
The classes of one hierarchy share tables, so their rows are ordered together.
Where that goes round in a circle (a swap), one row of the circle is parked first: one of its unique columns
gets NULL, or a value that nobody has.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Optional
from uuid import uuid4

from blaze.core.specs import UNSET
from blaze.dialects import types as t
from blaze.errors import CheckError, SessionError
from blaze.persistence.stored import coming, key_before, local_before, value_before

if TYPE_CHECKING:
    from blaze.core.attributes import Attribute
    from blaze.core.mapper import Mapper
    from blaze.core.relations import Relation

# Rows to be parked: each with the column that gets another value for a while, and that value.
Parked = list[tuple[Any, "Attribute", Any]]
# The attributes of a unique set; the classes of a hierarchy that have it share them.
Place = tuple["Attribute", ...]
# What one statement writes: rows of one class, by the positions of the changed columns.
Columns = tuple["Mapper", tuple[int, ...]]


class Exchange:
    """The unique values that changed and deleted rows of one model, or of one hierarchy, give up."""

    def __init__(self, changed: Sequence[Any], deleted: Sequence[Any] = ()) -> None:
        self.changed = changed
        self.gone = {id(instance) for instance in deleted}
        self.holders: dict[tuple[Place, tuple[Any, ...]], Any] = {}
        # Changed rows that keep values which are unique on a condition, but may not meet that any more; those
        # of them that meet it in the database, as far as that was read.
        self.keepers: dict[tuple[Place, tuple[Any, ...]], list[Any]] = {}
        self.present: set[tuple[Place, int]] = set()
        for mapper, instances in by_mapper(changed).items():
            get_old = mapper.get_old
            for place, positions, strict in mapper.unique_places:
                for instance in instances:
                    old: Any = get_old(instance)
                    values = tuple([old[position] for position in positions])
                    if not is_known(values):
                        continue
                    if values != coming(instance, place):
                        self.holders[place, values] = instance
                    elif not strict:
                        self.keepers.setdefault((place, values), []).append(instance)
        for mapper, instances in by_mapper(deleted).items():
            for place, _, _ in mapper.unique_places:
                for instance in instances:
                    values = tuple([value_before(mapper, instance, attribute) for attribute in place])
                    if is_known(values):
                        self.holders[place, values] = instance

    def taken(self, instance: Any) -> Iterator[tuple[Place, Any]]:
        """Yield the rows whose unique values an object takes over, with the unique set."""
        for place, _, strict in type(instance).__mapper__.unique_places:
            values = coming(instance, place)
            if is_known(values):
                holder = self.holders.get((place, values))
                if holder is not None and holder is not instance:
                    yield place, holder
                if not strict and self.present and (place, id(instance)) not in self.present:
                    for keeper in self.keepers.get((place, values), ()):
                        if (place, id(keeper)) in self.present:
                            yield place, keeper

    def rivals(self) -> dict[Place, list[Any]]:
        """Return the changed rows that come to have one value of what is unique on a condition."""
        groups: dict[tuple[Place, tuple[Any, ...]], list[Any]] = {key: [] for key in self.keepers}
        for instance in self.changed:
            for place, _, strict in type(instance).__mapper__.unique_places:
                group = None if strict else groups.get((place, coming(instance, place)))
                if group is not None:
                    group.append(instance)
        found: dict[Place, list[Any]] = {}
        for (place, _), group in groups.items():
            if len(group) > 1:
                found.setdefault(place, []).extend(group)
        return found

    def kept(self, instance: Any) -> Iterator[tuple[Place, Any]]:
        """Yield the rows with the values of a new object that may cease to be unique on their condition."""
        for place, _, strict in type(instance).__mapper__.unique_places if self.keepers else ():
            for keeper in () if strict else self.keepers.get((place, coming(instance, place)), ()):
                yield place, keeper

    def order(
        self, columns: dict[int, Columns], apart: bool
    ) -> tuple[list[tuple[Columns, list[Any]]], Parked]:
        """Return the changed rows in an order that frees every value before it is taken, and those to be
        parked before.

        Neighbours of one class with the same changed columns (`columns`, by the object's identity) form one
        batch; `apart` keeps a row out of the batch of the one that it takes a value from.
        """
        waits: dict[int, list[tuple[Place, Any]]] = {id(o): list(self.taken(o)) for o in self.changed}
        open_edges = {identity: len(found) for identity, found in waits.items()}
        followers: dict[int, list[tuple[Place, Any]]] = {}
        for instance in self.changed:
            for place, holder in waits[id(instance)]:
                followers.setdefault(id(holder), []).append((place, instance))
        left = {id(o): o for o in self.changed}
        ready: dict[Columns, deque[Any]] = {}
        parked: Parked = []
        freed: set[tuple[int, Place]] = set()
        batches: list[tuple[Columns, list[Any]]] = []

        def settle(instance: Any) -> None:
            if not open_edges[id(instance)]:
                key = columns[id(instance)]
                queue = ready.get(key)
                if queue is None:
                    ready[key] = deque((instance,))
                else:
                    queue.append(instance)

        for instance in self.changed:
            settle(instance)
        starts = deque(self.changed)  # not what is left: a dictionary goes past all it has lost
        reached = -2 * len(starts)
        while left:
            if not ready:
                reached, before = len(freed) - len(left), reached
                while id(starts[0]) not in left:
                    starts.popleft()
                for place, instance in self.breaches(starts, waits, left, freed, reached - before):
                    parked += self.park(instance, place, "others pass such values round in a circle with it")
                    freed.add((id(instance), place))
                    for other, follower in followers[id(instance)]:
                        if other == place:
                            open_edges[id(follower)] -= 1
                            settle(follower)
                continue
            key = next(iter(ready))
            batch: list[Any] = []
            batches.append((key, batch))
            queue = ready[key]
            for _ in range(len(queue)) if apart else iter(queue.__len__, 0):
                instance = queue.popleft()
                batch.append(instance)
                del left[id(instance)]
                for place, follower in followers.get(id(instance), ()):
                    if (id(instance), place) not in freed:
                        open_edges[id(follower)] -= 1
                        settle(follower)
            del ready[key]
            if queue:  # what waited for this batch comes after what is ready already
                ready[key] = queue
        return batches, parked

    def breaches(
        self,
        starts: Iterable[Any],
        waits: dict[int, list[tuple[Place, Any]]],
        left: dict[int, Any],
        freed: set[tuple[int, Place]],
        effort: int,
    ) -> list[tuple[Place, Any]]:
        """Return a row of each circle that can be parked, and the unique set that it can be parked in.

        No two of the circles have a row in common. After the first one the search goes as far as `effort`
        allows, the number of rows ordered or parked since the last one, so that all together stay linear.
        """
        found: list[tuple[Place, Any]] = []
        seen: set[int] = set()
        for number, instance in enumerate(starts):
            if found and max(number, len(seen)) > 4 * effort:
                break
            if id(instance) not in left:
                continue
            place: Place = ()
            path: list[tuple[Place, Any]] = []
            steps: dict[int, int] = {}
            while id(instance) not in seen:
                seen.add(id(instance))
                steps[id(instance)] = len(path)
                path.append((place, instance))
                place, instance = next(
                    (p, o) for p, o in waits[id(instance)] if id(o) in left and (id(o), p) not in freed
                )
            if id(instance) in steps:  # else it leads into what another one led into
                circle = [*path[steps[id(instance)] + 1 :], (place, instance)]
                found.append(self.breach(circle))
        return found

    def breach(self, circle: list[tuple[Place, Any]]) -> tuple[Place, Any]:
        """Return the row of a circle to be parked, with the unique set."""
        for place, instance in circle:
            if self.parking(instance, place) is not None or not holds_for_all(instance, place):
                return place, instance
        return circle[0]

    def park(self, instance: Any, place: Place, why: str) -> Parked:
        """Return how a row gives up a value before it is written; raise `SessionError` where it cannot.

        What is unique on a condition is left to the database then: the condition may not hold here.
        """
        found = self.parking(instance, place)
        if found is not None:
            return [(instance, *found)]
        if holds_for_all(instance, place):
            raise refusal(place, instance, why)
        return []

    def parking(self, instance: Any, place: Place) -> Optional[tuple[Attribute, Any]]:
        """Return a column of a unique set, and what it can hold for a while; None when there is none.

        A column that the update replaces is taken rather than one that it has to write again, and one that
        may be NULL rather than one that needs a stand-in. Keys that stay are not taken: they find the row.
        """
        mapper = type(instance).__mapper__
        gone = id(instance) in self.gone
        found: list[tuple[bool, bool, int, Any]] = []
        for number, attribute in enumerate(place):
            stays = gone or value_before(mapper, instance, attribute) == coming(instance, (attribute,))[0]
            if stays and attribute in mapper.pk:
                continue
            value = None if attribute.nullable else stand_in(attribute)
            if attribute.nullable or value is not None:
                found.append((stays, not attribute.nullable, number, value))
        if not found:
            return None
        _, _, number, value = min(found, key=itemgetter(0, 1, 2))
        return place[number], value


def holds_for_all(instance: Any, place: Place) -> bool:
    """Whether a unique set holds for all rows of the class, not for those of a condition only."""
    return any(found == place and strict for found, _, strict in type(instance).__mapper__.unique_places)


def refusal(place: Place, instance: Any, why: str) -> SessionError:
    """Return the error for a unique value that cannot change hands within one flush."""
    mapper = type(instance).__mapper__
    names = ", ".join(attribute.name for attribute in place)
    return SessionError(
        f"the value of {mapper.name}.({names}) of the row with the key {key_before(mapper, instance)!r} "
        f"is taken over by another object, but the row cannot give it up before: {why}, and no column of "
        "it can hold another value for a while. Change one object to a free value, flush(), then the rest"
    )


def refused_by_check(attribute: Attribute, instance: Any, error: CheckError) -> SessionError:
    """Return the error for a row whose stand-in a check of the table refuses."""
    return refusal(
        (attribute,), instance, f"the check {error.constraint or 'of the table'} refuses stand-ins"
    )


class Handover:
    """The order of one flush as far as unique values decide it.

    `first` are the deleted objects that go before everything else, `emptied` the changed ones whose keys let
    go of those before, `parked` the rows that give values up in advance, `before` the changed rows that are
    written before the new ones of their table, by the mapper at the base of their hierarchy.
    """

    def __init__(
        self,
        order: list[Mapper],
        new: dict[Mapper, list[Any]],
        changed: list[Any],
        deleted: dict[int, Any],
        relinked: Sequence[Any],
    ) -> None:
        """`order` and `new` go by the mappers at the base of hierarchies; `relinked` are deleted objects
        whose links are made anew.
        """
        self.first: dict[int, Any] = {}
        self.emptied: dict[Relation, list[Any]] = {}
        self.parked: Parked = []
        self.before: dict[Mapper, list[Any]] = {}
        self.places = {mapper: place for place, mapper in enumerate(order)}
        self.changed = changed
        self.deleted = deleted
        changed_of, gone_of = by_base(changed), by_base(deleted.values())
        wanted: list[tuple[Exchange, Place, Any]] = []
        for base in {**new, **changed_of}:
            gone, altered = gone_of.get(base, ()), changed_of.get(base, ())
            if not gone and not (altered and base in new):
                continue
            exchange = Exchange(altered, gone)
            if not exchange.holders and not exchange.keepers:
                continue
            yielding: list[tuple[Place, Any]] = []
            for instance in (*new.get(base, ()), *altered):
                for place, holder in exchange.taken(instance):
                    if id(holder) in deleted:
                        wanted.append((exchange, place, holder))
                    elif base.is_new(instance):
                        yielding.append((place, holder))
            for instance in new.get(base, ()):
                yielding += exchange.kept(instance)
            if yielding:
                self.before[base] = self.updated_before(exchange, yielding)
        if wanted or relinked:
            self.delete_before(wanted, relinked)

    def updated_before(self, exchange: Exchange, yielding: list[tuple[Place, Any]]) -> list[Any]:
        """Return the changed rows that make way for new ones, and those that have to make way for them.

        A row that refers to an object which is inserted after it cannot go earlier: it is parked.
        """
        found: dict[int, Any] = {}
        while yielding:
            place, instance = yielding.pop()
            if id(instance) in found:
                continue
            if self.refers_to_later(type(instance).__mapper__, instance):
                why = "it refers to an object that is inserted later"
                self.parked += exchange.park(instance, place, why)
                continue
            found[id(instance)] = instance
            yielding += [
                (p, holder) for p, holder in exchange.taken(instance) if id(holder) not in self.deleted
            ]
        return list(found.values())

    def refers_to_later(self, mapper: Mapper, instance: Any) -> bool:
        """Whether a changed object refers to a new one that has no row when new rows of its table come."""
        place = self.places[mapper.base]
        for relation in mapper.key_relations:
            related = relation.peek(instance)
            if related is None or related is UNSET or not relation.target.is_new(related):
                continue
            if self.places.get(relation.target.base, place) >= place:
                return True
        return False

    def delete_before(self, wanted: list[tuple[Exchange, Place, Any]], relinked: Sequence[Any]) -> None:
        """Have the deleted rows whose values are taken over, or whose links are made anew, go first, with
        those that refer to them.

        A changed object that refers to one in the database lets go of it before, where it comes to refer to
        another one and its key may be NULL. Else the deleted row stays where its rule on delete would delete
        the changed one, or refuse: it is parked.
        """
        rows: dict[Any, Any] = {}  # deleted objects by the place of their row
        for instance in self.deleted.values():
            mapper = type(instance).__mapper__
            rows[mapper.base, key_before(mapper, instance)] = instance
        targets: dict[int, list[Any]] = {}
        referring: dict[int, list[Any]] = {}
        for instance in self.deleted.values():
            for target in referred(rows, instance):
                targets.setdefault(id(instance), []).append(target)
                referring.setdefault(id(target), []).append(instance)
        leaving: list[tuple[Any, Relation, Any]] = []
        holding = []
        for changed in self.changed:
            for relation, target in references(rows, changed, ("SET NULL", "SET DEFAULT")):
                if relation.nullable and relation.known(changed) is not target:
                    leaving.append((changed, relation, target))
                else:
                    holding.append(target)
        staying = reach(holding, targets)
        for exchange, place, instance in wanted:
            if id(instance) in staying:
                why = "a changed object refers to it until it is written"
                self.parked += exchange.park(instance, place, why)
            else:
                self.first.update(reach([instance], referring))
        self.first.update(reach(relinked, referring))
        for changed, relation, target in leaving:
            if id(target) in self.first:
                self.emptied.setdefault(relation, []).append(changed)


def reach(start: Iterable[Any], edges: dict[int, list[Any]]) -> dict[int, Any]:
    """Return objects, and all that can be reached from them, by identity."""
    found: dict[int, Any] = {}
    waiting = list(start)
    while waiting:
        instance = waiting.pop()
        if id(instance) not in found:
            found[id(instance)] = instance
            waiting += edges.get(id(instance), ())
    return found


def referred(rows: dict[Any, Any], instance: Any) -> Iterator[Any]:
    """Yield the deleted objects that an object refers to in the database."""
    for _, target in references(rows, instance):
        yield target


def references(
    rows: dict[Any, Any], instance: Any, harmless: Sequence[str] = ()
) -> Iterator[tuple[Relation, Any]]:
    """Yield the relations by which an object refers to deleted ones in the database, with these; not those of
    a `harmless` rule.
    """
    mapper = type(instance).__mapper__
    for relation in mapper.key_relations:
        if relation.on_delete in harmless:
            continue
        found = rows.get((relation.target.base, local_before(mapper, instance, relation)))
        if found is not None and found is not instance:
            yield relation, found


def with_parked(
    batches: list[tuple[Columns, list[Any]]], parked: dict[int, set[int]]
) -> list[tuple[Columns, list[Any]]]:
    """Return batches in which rows write all columns that they were parked in, by the rows' identity."""
    found: list[tuple[Columns, list[Any]]] = []
    for (mapper, indexes), group in batches:
        parts: list[tuple[Columns, list[Any]]] = []
        for instance in group:
            columns = mapper, tuple(sorted({*indexes, *parked.get(id(instance), ())}))
            if not parts or parts[-1][0] != columns:
                parts.append((columns, []))
            parts[-1][1].append(instance)
        found += parts
    return found


def by_mapper(instances: Iterable[Any]) -> dict[Mapper, list[Any]]:
    """Group objects by their mapper."""
    found: dict[Mapper, list[Any]] = {}
    for instance in instances:
        found.setdefault(type(instance).__mapper__, []).append(instance)
    return found


def by_base(instances: Iterable[Any]) -> dict[Mapper, list[Any]]:
    """Group objects by the mapper at the base of their hierarchy."""
    found: dict[Mapper, list[Any]] = {}
    for mapper, group in by_mapper(instances).items():
        found.setdefault(mapper.base, []).extend(group)
    return found


def is_known(values: tuple[Any, ...]) -> bool:
    """Whether values take part in a unique constraint: NULL does not, and what is not known cannot."""
    return None not in values and UNSET not in values


def stand_in(attribute: Attribute) -> Any:
    """Return a value that no row has, for a column that must not be NULL; None when its type has none."""
    kind = attribute.type
    chance = uuid4()
    if attribute.key_of is not None or attribute.spec.generated is not None:
        return None
    if isinstance(kind, t.String):  # characters for private use, so that a short column is enough
        number, letters = chance.int, []
        for _ in range(min(kind.length or 10, 10)):
            number, rest = divmod(number, 6400)
            letters.append(chr(0xE000 + rest))
        return "".join(letters)
    if isinstance(kind, t.Integer):
        number = chance.int >> 66
        return -1 - number if attribute.column.identity else number  # checks like `n > 0` are the usual ones
    if isinstance(kind, t.Uuid):
        return chance
    if isinstance(kind, t.Float):
        return float(chance.int >> 75)
    if isinstance(kind, t.Numeric) and (kind.precision is None or kind.precision > 5):
        return Decimal(chance.int % 10 ** min(kind.precision or 18, 18)).scaleb(-(kind.scale or 0))
    if isinstance(kind, (t.Date, t.DateTime)):  # days and moments of years that nobody writes about
        moment = dt.datetime(5000, 1, 1) + dt.timedelta(days=1_800_000 * (chance.int >> 75) / 2**53)
        if isinstance(kind, t.Date):
            return moment.date()
        return moment.replace(tzinfo=dt.timezone.utc) if kind.timezone else moment
    return chance.bytes if isinstance(kind, t.Binary) else None
