"""An unknown or hostile name is refused at once, with the nearest valid ones, and reaches no SQL."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from blaze import (
    ConfigurationError,
    Delete,
    Engine,
    Insert,
    ModelError,
    Q,
    QueryError,
    Select,
    Session,
    Update,
    ValidationError,
    excluded,
    func,
)
from blaze.errors import BlazeError
from tests.badinput.models import Label, Work, Writer
from tests.types.harness import Opener, m

Play = Callable[..., Any]
EVIL = 'x"; DROP TABLE writer; --'

NAMES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "constructor": (lambda s: Work(titel="x"), "'titel'; did you mean 'title'"),
    "class attribute": (lambda s: Work.titel, "Work has no field or relation 'titel'; did you mean 'title'"),
    "path": (lambda s: Work.writer.nmae, "Writer has no .*'nmae'; did you mean 'name'"),
    "filter": (lambda s: s.query(Work).filter(titel="x"), "did you mean 'title'"),
    "exclude": (lambda s: s.query(Work).exclude(titel="x"), "did you mean 'title'"),
    "Q": (lambda s: s.query(Work).filter(Q(titel="x") | Q(title="y")), "did you mean 'title'"),
    "relation": (lambda s: s.query(Work).filter(wrter__name="x"), "did you mean 'writer'"),
    "field of relation": (lambda s: s.query(Work).filter(writer__nmae="x"), "'nmae'; did you mean 'name'"),
    "lookup": (
        lambda s: s.query(Work).filter(title__contians="x"),
        "no lookup 'contians'; did you mean 'contains'",
    ),
    "lookup of relation": (lambda s: s.query(Work).filter(writer__gt=1), "'gt' needs a field"),
    "order_by": (lambda s: s.query(Work).order_by("-titel"), "did you mean 'title'"),
    "order_by relation": (lambda s: s.query(Work).order_by("writer"), "is a relation"),
    "group_by": (lambda s: s.query(Work).group_by("titel"), "did you mean 'title'"),
    "only": (lambda s: s.query(Work).only("titel"), "did you mean 'title'"),
    "defer": (lambda s: s.query(Work).defer("titel"), "did you mean 'title'"),
    "include": (lambda s: s.query(Work).include("wrter"), "did you mean 'writer'"),
    "prefetch": (lambda s: s.query(Work).prefetch_related("writer__work"), "did you mean 'works'"),
    "select_related": (lambda s: s.query(Work).select_related("labels"), "many rows; use prefetch_related"),
    "join": (lambda s: s.query(Work).join("wrter"), "did you mean 'writer'"),
    "Update": (lambda s: Update(Work).set(titel="x"), "did you mean 'title'"),
    "get keyword": (lambda s: s.get(Writer, idd=1), "not part of the key of Writer; did you mean 'id'"),
    "hostile order": (lambda s: s.query(Writer).order_by(EVIL), "no field or relation"),
    "hostile filter": (lambda s: s.query(Writer).filter(**{EVIL: 1}), "no field or relation"),
    "hostile only": (lambda s: s.query(Writer).only(EVIL), "no field or relation"),
    "hostile attribute": (lambda s: getattr(Writer, EVIL), "no field or relation"),
    "hostile function": (lambda s: getattr(func, EVIL)(Writer.id), "no name of a function"),
    "hostile limit": (lambda s: s.query(Writer).limit(EVIL), "whole number"),
    "hostile offset": (lambda s: s.query(Writer).offset("1; DROP"), "whole number"),
    "hostile cast": (lambda s: Writer.name.cast(EVIL), "cannot be sent"),
    "annotation over a field": (
        lambda s: s.query(Work).annotate(title=func.length(Work.title)),
        "has a field",
    ),
    "annotation over a method": (
        lambda s: s.query(Work).annotate(to_dict=func.length(Work.title)),
        "for itself",
    ),
    "annotation of machinery": (
        lambda s: s.query(Work).annotate(_ctx_=func.length(Work.title)),
        "for itself",
    ),
    "annotation with NUL": (lambda s: s.query(Work).annotate(**{"a\0": func.length(Work.title)}), "no label"),
    "where with a text": (lambda s: s.query(Work).where("1=1"), "takes expressions"),
    "where with a bool": (lambda s: s.query(Work).where(True), "comparison was made in Python"),
    "and": (lambda s: s.query(Work).where(Work.id == 1 and Work.id == 2), "truth value.*&"),
    "a query as a truth value": (lambda s: bool(s.query(Work)), r"exists\(\)"),
    "text for a list": (lambda s: Work.title.in_("ab"), "list of values"),
    "None in a comparison": (lambda s: Work.price < None, r"is_\(None\)"),
    "negative limit": (lambda s: s.query(Work).limit(-1), "from 0 on"),
    "negative index": (lambda s: s.query(Work)[-3:], "non-negative"),
    "empty selection": (lambda s: s.query(), "something to select"),
    "model by name": (lambda s: s.query("Work"), "cannot select"),
    "Insert": (lambda s: Insert("Work"), "takes a model"),
}


@pytest.mark.parametrize(("attempt", "words"), NAMES.values(), ids=NAMES)
def test_building_is_refused(play: Play, attempt: Callable[[Any], Any], words: str) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            with pytest.raises(QueryError, match=words):
                await m(attempt(session))
            assert await m(session.query(Writer).count()) == 1

    play(scenario)


RUN: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "update": (lambda s: s.query(Work).all_rows().update(titel="x"), QueryError, "did you mean 'title'"),
    "update of a list": (lambda s: s.query(Work).all_rows().update(labels=[]), QueryError, "no column"),
    "update of nothing": (lambda s: s.query(Work).all_rows().update(), QueryError, "sets nothing"),
    "Insert": (lambda s: s.exec(Insert(Work).values(titel="x")), QueryError, "did you mean 'title'"),
    "hostile Insert": (lambda s: s.exec(Insert(Writer).values(**{EVIL: 1})), QueryError, "no field"),
    "on_conflict": (
        lambda s: s.exec(Insert(Writer).values(name="x").on_conflict("emial", do="nothing")),
        QueryError,
        "did you mean 'email'",
    ),
    "excluded": (
        lambda s: s.exec(
            Insert(Writer).values(name="x", email="q").on_conflict("email", update={"name": excluded(EVIL)})
        ),
        BlazeError,
        "DROP",
    ),
    "upsert": (
        lambda s: s.upsert([Writer(name="x")], conflict=["emial"]),
        QueryError,
        "did you mean 'email'",
    ),
    "upsert of no key": (lambda s: s.upsert([Writer(name="x")], conflict=["name"]), QueryError, "not unique"),
    "bulk_update": (lambda s: s.bulk_update([Work(id=1)], ["titel"]), QueryError, "did you mean .title"),
    "get_or_create": (lambda s: s.get_or_create(Writer, nmae="x"), QueryError, "did you mean 'name'"),
    "get of a text": (lambda s: s.get("Writer", 1), QueryError, "not a model"),
    "get by a wrong key": (lambda s: s.get(Writer, "1"), QueryError, "Writer.*'id'.*str"),
    "get by None": (lambda s: s.get(Writer, None), QueryError, "None"),
    "get by a huge key": (lambda s: s.get(Writer, 2**70), QueryError, "64 bits"),
    "add of None": (lambda s: s.add(None), ModelError, "NoneType"),
    "add of a class": (lambda s: s.add(Writer), ModelError, "not an instance"),
    "delete of None": (lambda s: s.delete(None), ModelError, "NoneType"),
    "merge of 5": (lambda s: s.merge(5), ModelError, "int"),
    "bulk_insert of 5": (lambda s: s.bulk_insert([5]), ModelError, "int"),
    "bulk_delete by text": (lambda s: s.bulk_delete(Writer, ["x"]), QueryError, "str"),
    "exec of 5": (lambda s: s.exec(5), QueryError, "cannot execute 5"),
    "execute of None": (lambda s: s.execute(None), QueryError, "SQL text"),
    "Delete of everything": (lambda s: s.exec(Delete(Work)), QueryError, r"all_rows\(\)"),
    "Update of everything": (lambda s: s.exec(Update(Work).set(title="x")), QueryError, r"all_rows\(\)"),
    "isolation": (lambda s: s.begin(isolation=EVIL), ConfigurationError, "valid names"),
}


@pytest.mark.parametrize(("attempt", "kind", "words"), RUN.values(), ids=RUN)
def test_running_is_refused(play: Play, attempt: Callable[[Any], Any], kind: Any, words: str) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            with pytest.raises(kind, match=words):
                await m(attempt(session))
            await m(session.rollback())
            assert await m(session.query(Work.title).scalars()) == ["Emma"]

    play(scenario)


def test_hostile_labels_aliases_keys_and_values_stay_names_and_values(play: Play) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            rows = await m(session.query(Writer.id.label(EVIL)).all())
            assert getattr(rows[0], EVIL) == 1
            noted = await m(session.query(Writer).annotate(**{EVIL: func.length(Writer.name)}).all())
            assert getattr(noted[0], EVIL) == 4
            for key in ("a') OR 1=1 --", "a.b", "$", "[0]", "ä🦄", ""):
                query = session.query(Work).where(Work.meta[key] == 1)
                assert await m(query.count()) == 0
                await m(session.query(Work).all_rows().update(meta={key: 1, "c": {key: [5]}}))
                assert await m(query.count()) == 1, key
                assert await m(session.query(Work).where(Work.meta["c"][key][0] == 5).count()) == 1
                await m(session.rollback())
            for value in (EVIL, "' OR '1'='1", "%", "_", "?", ":x", "%s", "{x}", "\\"):
                assert await m(session.query(Writer).filter(name=value).count()) == 0
                assert await m(session.query(Writer).filter(name__contains=value).count()) == 0
            assert await m(session.query(Writer).count()) == 1

    play(scenario)


def test_wrong_objects_of_relations_name_model_and_relation(engine: Engine) -> None:
    with Session(engine) as session:
        work = session.query(Work).one()
        for attempt in (
            lambda: setattr(work, "writer", 5),
            lambda: setattr(work, "writer", Label(name="x")),
            lambda: Work(title="x", writer="Jane"),  # type: ignore[arg-type]
        ):
            with pytest.raises(ValidationError, match=r"Work.*writer.*Writer or None"):
                attempt()
        with pytest.raises(ValidationError, match="labels: holds Label objects, not Writer"):
            work.labels.add(work.writer)  # type: ignore[arg-type]
        with pytest.raises(ValidationError, match="works: takes a list of Work objects, not int"):
            work.writer.works = 5  # type: ignore[assignment]
        with pytest.raises(ValidationError, match="labels: takes a list of Label objects, not int"):
            Work(title="x", labels=5)  # type: ignore[arg-type]
        with pytest.raises(ValidationError, match="works: takes a list of Work objects, not NoneType"):
            Writer(name="x", works=None)  # type: ignore[arg-type]
        with pytest.raises(ModelError, match="'lables'; did you mean 'labels'"):
            work.m2m_add("lables", Label(name="x"))
        assert work.writer.name == "Jane"
        assert not session.dirty


def test_an_unknown_attribute_of_an_instance_is_an_attribute_error(engine: Engine) -> None:
    with Session(engine) as session:
        for work in (session.query(Work).one(), Work(title="x"), session.query(Work).only("title").one()):
            with pytest.raises(AttributeError, match="titel"):
                _ = work.titel
            with pytest.raises(AttributeError, match="titel"):
                work.titel = "x"
        assert session.query(Work.title).scalars() == ["Emma"]


@pytest.mark.parametrize(
    ("dsn", "words"),
    [
        ("sqlite:///x.db?lock_timout=1", "'lock_timout'.*did you mean 'lock_timeout'"),
        ("sqlite:///x.db?lock_timeout=soon", "number of seconds"),
        ("sqlite:///x.db?mode=xx", "ro, rw, rwc"),
        ("sqlite:///x.db?isolation_level=FOO", "valid names.*SERIALIZABLE"),
        ("sqlite+nosuch:///x.db", "driver 'nosuch'; valid names"),
        ("sqlite://host/x.db", "no host"),
        ("nosuch://x", "no backend for nosuch"),
        ("x.db", "scheme"),
        ("", "scheme"),
    ],
)
def test_a_wrong_dsn_says_how_to_mend_it(dsn: str, words: str) -> None:
    for make in (Session, Engine):
        with pytest.raises(ConfigurationError, match=words):
            make(dsn)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pool_size": -1}, "holds no connection"),
        ({"pool_size": "5"}, "whole numbers"),
        ({"pool_timeout": -1}, "at least 0"),
    ],
)
def test_wrong_pool_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Engine("sqlite://", **options)


def test_unbound_queries_refuse_alike() -> None:
    with pytest.raises(QueryError, match="did you mean 'title'"):
        Select(Work).filter(titel=1)
    with pytest.raises(AttributeError):
        _ = Work.titel
