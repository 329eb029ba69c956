"""The compliance suite: `from blaze.testing.suite import *` and one fixture test a backend."""

# ruff: noqa: E402
from pkgutil import iter_modules

import pytest

# Failing cases show their values.
pytest.register_assert_rewrite(*[f"{__name__}.{module.name}" for module in iter_modules(__path__)])

from blaze.testing.suite.aggregates import *
from blaze.testing.suite.batches import *
from blaze.testing.suite.bulk import *
from blaze.testing.suite.capabilities import *
from blaze.testing.suite.conditions import *
from blaze.testing.suite.errors import *
from blaze.testing.suite.harness import *
from blaze.testing.suite.loading import *
from blaze.testing.suite.outer_joins import *
from blaze.testing.suite.pool import *
from blaze.testing.suite.queries import *
from blaze.testing.suite.raw_sql import *
from blaze.testing.suite.schema import *
from blaze.testing.suite.sets import *
from blaze.testing.suite.transactions import *
from blaze.testing.suite.types import *
from blaze.testing.suite.unit_of_work import *
