"""The registry: finds the models that relations name and completes their mappers."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ForwardRef, Optional

from blaze.core.annotations import split_optional, sql_type_of
from blaze.core.attributes import Attribute
from blaze.core.options import check_field, check_relation, check_versions
from blaze.core.paths import RelationPath
from blaze.core.resolution import Resolver
from blaze.core.specs import FieldSpec, KeyColumnSpec, RelationSpec
from blaze.errors import ModelError
from blaze.security.redaction import redactor
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from blaze.core.declarations import Declaration
    from blaze.core.mapper import Mapper


class Registry:
    """All models of the process, by name; models that are no longer referenced disappear.

    A name is looked up first among the models of the same class body or function, then of the same module,
    then among all others, the latest first.
    """

    def __init__(self) -> None:
        self._models: dict[str, list[weakref.ref[Any]]] = {}
        self._pending: list[weakref.ref[Any]] = []
        # Whether models came since the last pass, and why those that still wait could not be completed.
        self._grown = False
        self._failures: weakref.WeakKeyDictionary[Mapper, str] = weakref.WeakKeyDictionary()
        self._lock = threading.RLock()
        # Whether any model has a method `on_load`: sessions look for such hooks only then.
        self.has_load_hooks = False

    def __iter__(self) -> Iterator[Any]:
        for references in list(self._models.values()):
            for reference in references:
                model = reference()
                if model is not None:
                    yield model

    def add(self, mapper: Mapper) -> None:
        """Take in a model whose class has just been made; it is completed at its first use."""
        mapper.registry = self
        if any("on_load" in vars(part) for part in mapper.model.__mro__):
            self.has_load_hooks = True
        if mapper.parent is not None:
            mapper.attributes.update(mapper.parent.attributes)
        for name, declaration in mapper.declarations.items():
            if isinstance(declaration.spec, FieldSpec) and name not in mapper.attributes:
                attribute = mapper.attributes[name] = field_attribute(mapper.where, declaration)
                attribute.slot = mapper.slots.stored.get(name, name)
                if attribute.spec.column is not None and redactor.is_sensitive(name):
                    redactor.configure(extra=[attribute.spec.column])  # logs know columns only
                attribute.owner = mapper
                check_field(attribute, mapper.where)
            elif isinstance(declaration.spec, RelationSpec):
                check_relation(name, declaration.spec, declaration.target[1], mapper.where)
        check_versions(mapper.attributes.values(), mapper.where)
        with self._lock:
            named = self._models.setdefault(mapper.name, [])
            named[:] = [reference for reference in named if reference() is not None]
            named.append(weakref.ref(mapper.model))
            self._pending.append(weakref.ref(mapper.model))
            self._grown = True

    @staticmethod
    def is_mutable(declaration: Declaration, where: str) -> bool:
        """Whether a field of the class `where` holds values that change in place (JSON, arrays)."""
        return field_attribute(where, declaration).mutable

    def find(self, target: Any, module: str, qualname: str, model: Optional[Any] = None) -> Optional[Any]:
        """Return the model that a relation of a class in `module` means by `target`, None when unknown.

        Where a function has defined its models several times, the target is of the same run as `model`.
        """
        if isinstance(target, type):
            return target if hasattr(target, "__mapper__") else None
        name = target.__forward_arg__ if isinstance(target, ForwardRef) else target
        if not isinstance(name, str):
            return None
        near = self._beside(name, module, qualname)
        if near:
            runs = [] if model is None else self._beside(model.__name__, module, qualname)
            return near[runs.index(model)] if len(runs) == len(near) and model in runs else near[-1]
        models = self._named(name)
        same = [found for found in models if found.__module__ == module]
        return (same or models or [None])[-1]

    def _named(self, name: str) -> list[Any]:
        return [model for model in (ref() for ref in self._models.get(name, ())) if model is not None]

    def _beside(self, name: str, module: str, qualname: str) -> list[Any]:
        """Return the models of a name that stand in the same class body or function, in order."""
        scope = qualname.rpartition(".")[0]
        return [
            model
            for model in self._named(name)
            if model.__module__ == module and model.__qualname__.rpartition(".")[0] == scope
        ]

    def key_names(
        self,
        name: str,
        declaration: Declaration,
        declarations: dict[str, Declaration],
        declared_keys: set[str],
        module: str,
        qualname: str,
    ) -> list[str]:
        """Return the names of the key columns of a foreign key: `<name>_id`, or `<name>_<key>` each."""
        target, _ = declaration.target
        own_name = qualname.rpartition(".")[2]
        text = target.__forward_arg__ if isinstance(target, ForwardRef) else target
        if text == own_name:
            keys = primary_key_names(declarations, self, module, qualname)
        else:
            model = self.find(target, module, qualname)
            if model is None:
                declared = [key for key in declared_keys if key.startswith(f"{name}_")]
                return declared if len(declared) > 1 else [f"{name}_id"]
            keys = primary_key_names(
                model.__mapper__.declarations, self, model.__module__, model.__qualname__
            )
        return [f"{name}_id"] if len(keys) == 1 else [f"{name}_{key}" for key in keys]

    def configure(self, mapper: Mapper) -> None:
        """Complete every model that can be completed, `mapper` among them.

        Raises `ModelError` naming model and field when `mapper` cannot work.
        """
        if mapper.configured and not self._grown:
            return
        with self._lock:
            if self._grown:
                pending = [model.__mapper__ for model in (found() for found in self._pending) if model]
                failures = Resolver(self, pending).run()
                self._pending = [weakref.ref(each.model) for each in pending if each in failures]
                self._failures.clear()
                self._failures.update({each: str(error) for each, error in failures.items()})
                self._grown = False
        if not mapper.configured:
            raise ModelError(self._failures[mapper])

    def configure_all(self, models: Iterable[Any]) -> list[Mapper]:
        """Return the completed mappers of the models; raise `ModelError` for a class that is no model."""
        mappers = []
        for model in models:
            mapper = getattr(model, "__mapper__", None)
            if mapper is None:
                raise ModelError(f"{model!r} is not a concrete model; pass classes derived from Model")
            self.configure(mapper)
            mappers.append(mapper)
        return mappers

    def class_value(self, mapper: Mapper, name: str) -> Any:
        """Return what `Model.name` is: a column expression or a relation path."""
        self.configure(mapper)
        if name in mapper.attributes:
            return mapper.column(name)
        relation = mapper.relations.get(name)
        if relation is None:
            raise ModelError(f"{mapper.where}.{name}: the relation has no other side yet")
        return RelationPath(mapper, (relation,), relation.extend(mapper.source))

    def names(self) -> list[str]:
        """Return the names of all models."""
        return sorted({model.__name__ for model in self})

    def suggest(self, name: str) -> str:
        """Return the nearest model names as the end of a message."""
        return suggest(name, self.names())


def primary_key_names(
    declarations: dict[str, Declaration], registry: Registry, module: str, qualname: str
) -> list[str]:
    """Return the attribute names of a primary key, key columns of foreign keys included."""
    names: list[str] = []
    declared = {n for n, d in declarations.items() if isinstance(d.spec, KeyColumnSpec)}
    for name, declaration in declarations.items():
        if getattr(declaration.spec, "primary_key", False):
            if isinstance(declaration.spec, FieldSpec):
                names.append(name)
            else:
                names += registry.key_names(name, declaration, declarations, declared, module, qualname)
    return names or ["id"]


def field_attribute(where: str, declaration: Declaration) -> Attribute:
    """Return the attribute of a field declaration; raise `ModelError` for a type without column type."""
    annotation, nullable = split_optional(declaration.annotation)
    spec = declaration.spec
    type_ = sql_type_of(annotation, spec, f"{where}.{declaration.name}")
    return Attribute(declaration.name, spec, type_, nullable)


registry = Registry()
