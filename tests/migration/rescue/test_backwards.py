"""Old vectors by the bridge, for a rollback to a rescued state, and told from the old model's."""

import itertools
import time

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.database.types import as_array
from ragkit.evaluation.bridge.maps import ridge
from ragkit.evaluation.bridge.rows import read_keys, read_spread
from ragkit.evaluation.samples import normalise, sample_vectors
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.inspection.fidelity import measure_fidelity
from ragkit.migration.inspection.vector_traits import read_traits
from ragkit.migration.inspection.whose.vector_sample import sample_old
from ragkit.migration.migration import Migration
from ragkit.migration.progress import dead_letters
from ragkit.migration.rescue import backwards
from ragkit.migration.rescue.approximated import KIND, MARK
from ragkit.migration.rescue.backwards import NO_BRIDGE, Approximation, Backwards
from ragkit.migration.retirement import drop_old_column
from ragkit.migration.schema.expansion import expand
from ragkit.migration.status import read_status
from ragkit.migration.work import queue
from ragkit.migration.work.tables import WORKER
from ragkit.retrieval import contract_changes
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.plan import write_plan
from ragkit.retrieval.route import NATIVE, RESCUE
from ragkit.retrieval.service import SearchService
from ragkit.retrieval.space import FILLING
from tests.conftest import ROOT, changed, column_of, make_table, with_plan
from tests.migration.partitions.tables import make_partitioned
from tests.processes import Script
from tests.retrieval.rescue.conftest import make_rescue

WORDS = ("kiosk", "bakery", "lounge", "florist", "saloon", "bank", "museum", "chapel", "garage",
         "gallery", "pharmacy", "nursery")  # fmt: skip
PLACES = ("north", "south", "upper", "lower", "old", "new", "outer", "inner")
SOLD = ("maps", "candles", "ribbons", "violins", "pumpkins")
TEXTS = [
    f"{place} {word} is a {word}. It offers {sold}."
    for place, word, sold in itertools.product(PLACES, WORDS, SOLD)
]
ROWS = len(TEXTS)
TEXT, QUESTION = "Zythumbrewery is a tavern. Yeasty pints.", "zythumbrew yeasts"
"""They share no word in any of its forms, but most letters."""
OF_EDITED = "vexillologer guildhall"
EDITED = "Edited is a kiosk. It offers pumpkins and maps."


def bridge_of(migration) -> Bridge:
    """Fitted on all rows."""
    rows = read_spread(migration, ROWS)
    new, old = normalise(row.new for row in rows), normalise(row.old for row in rows)
    return Bridge("ridge 0.1", len(rows), ridge(new, old, 0.1).astype(np.float32))


def rescue(migration, bridge):
    """Writes the rescue of a large table into the contract."""
    with migration.engine.begin() as connection:
        write_plan(
            connection, migration.new, make_rescue(migration), migration.plan.old.column, bridge
        )


@pytest.fixture(params=["column", "side_table", "halfvec", "partitioned"])
def placement(request):
    return request.param


@pytest.fixture
def native(engine, plan, new_embedder, placement, restored) -> Migration:
    """A rescued migration that is complete: its new column is full."""
    beside = {"new.placement": "side_table"} if placement == "side_table" else {}
    wide = {"backfill.batch_size": 0, "index.type": "none", **beside}  # an HNSW may miss a row
    plan = changed(plan, wide)
    restored(f"native {placement}", lambda: make_native(engine, plan, new_embedder, placement))
    return Migration.open(plan, engine)


def make_native(engine, plan, new_embedder, placement):
    if placement == "partitioned":
        make_partitioned(engine, plan, TEXTS)
    else:
        make_table(engine, plan, TEXTS)
    if placement == "halfvec":
        with engine.begin() as connection:
            connection.exec_driver_sql(
                'alter table "Amenities" alter column embedding type halfvec(256) '
                "using embedding::halfvec(256)"
            )
    migration = Migration.open(plan, engine)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    rescue(migration, bridge_of(migration))


def insert(migration, key, text=TEXT):
    with migration.engine.begin() as connection:
        row = {"id": key, "name": f"n{key}", "content": text}
        connection.execute(sa.insert(migration.table).values(row))


def edit(migration, key, text=EDITED):
    with migration.engine.begin() as connection:
        change = sa.update(migration.table).where(migration.key == key)
        connection.execute(change.values(content=text))


def old(migration):
    """By key, those that are there."""
    vectors = column_of(migration.engine, migration, migration.plan.old.column)
    return {key: as_array([v])[0] for key, v in vectors.items() if v is not None}


def marks(migration):
    with migration.engine.connect() as connection:
        if not sa.inspect(connection).has_table(MARK.name, schema=MARK.schema):
            return set()
        return {int(key) for key in connection.scalars(sa.select(MARK.c.key))}


def fill_new(migration, new_embedder):
    list(run_backfill(migration, new_embedder, wait=False))


def nearness(migration, key, text, old_embedder):
    """How many of the rows the old model would put before the approximated one."""
    made, asked = old(migration), old_embedder.embed_query(text)
    unit = dict(zip(made, normalise(made.values()), strict=True))
    own = float(unit[key] @ asked)
    return sum(float(vector @ asked) > own for vector in unit.values())


def test_a_rollback_to_a_rescued_state_finds_what_was_written_since(native, new_embedder):
    """The question has no word of the row, so that full text does not find it."""
    names = native.plan.table.qualified_name
    service = SearchService(native.engine, new_embedder, names, ["id"], refresh_seconds=0)

    def found(question=QUESTION):
        answer = service.search(question, 3)
        return answer.served_by, answer.rows[0]["id"]

    backward = Backwards(native)
    assert backward.approximate() == Approximation()
    insert(native, 9000)
    edit(native, 7, "Vexillologist is a guild. Quizzical flags.")
    fill_new(native, new_embedder)
    assert found() == (NATIVE, 9000)
    assert found(OF_EDITED) == (NATIVE, 7)
    with native.engine.begin() as connection:
        contract_changes.set_state(connection, names, native.plan.new.column, FILLING)
    served_by, missed = found()
    assert (served_by, missed == 9000, found(OF_EDITED)[1] == 7) == (RESCUE, False, False)
    assert backward.approximate() == Approximation(written=2)
    assert found() == (RESCUE, 9000)
    assert found(OF_EDITED) == (RESCUE, 7)


def test_what_is_written_is_near_to_what_the_old_model_would_have_made(
    native, new_embedder, old_embedder
):
    backward = Backwards(native)
    backward.approximate()
    edit(native, 1)
    assert 1 not in old(native)  # cleared by the trigger
    fill_new(native, new_embedder)
    assert backward.approximate().written == 1
    assert nearness(native, 1, EDITED, old_embedder) < 0.1 * ROWS


def test_it_is_safe_to_repeat_and_to_end_anywhere(native, new_embedder, monkeypatch):
    """Each vector comes with its mark, or not at all."""
    monkeypatch.setattr(backwards, "LIMITS", backwards.RequestLimits(2, 2**20))
    Backwards(native).approximate()
    keys = set(range(9000, 9009))
    for key in keys:
        insert(native, key, f"{TEXT} {key}")
    fill_new(native, new_embedder)
    made, to_old = [], Bridge.to_old

    def end_at_times(self, vector):
        made.append(vector)
        if len(made) in (1, 2, 5, 9):
            raise KeyboardInterrupt
        return to_old(self, vector)

    monkeypatch.setattr(Bridge, "to_old", end_at_times)
    ends = 0
    for _ in range(4):
        try:
            Backwards(native).approximate()
        except KeyboardInterrupt:
            ends += 1
        assert old(native).keys() - set(range(1, ROWS + 1)) == marks(native)
    assert ends == 4
    Backwards(native).approximate()
    assert marks(native) == keys
    assert old(native).keys() >= keys
    before = old(native)
    assert Backwards(native).approximate() == Approximation()
    for key, vector in old(native).items():
        np.testing.assert_array_equal(vector, before[key])


KILLED = """
import sys, time
import sqlalchemy as sa
from ragkit.migration.migration import Migration
from ragkit.migration.rescue import backwards
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from tests.plans import make_plan

def slowly(self, vector, to_old=Bridge.to_old):
    time.sleep(0.02)
    return to_old(self, vector)

Bridge.to_old, backwards.LIMITS = slowly, backwards.RequestLimits(2, 2**20)
migration = Migration.open(make_plan(), sa.create_engine(sys.argv[1]))
backwards.Backwards(migration).approximate()
"""


@pytest.mark.parametrize("placement", ["column"], indirect=True)
def test_a_process_that_is_killed_leaves_no_vector_without_its_mark(native, new_embedder):
    Backwards(native).approximate()
    keys = set(range(9000, 9040))
    for key in keys:
        insert(native, key, f"{TEXT} {key}")
    fill_new(native, new_embedder)
    url = native.engine.url.render_as_string(hide_password=False)
    process = Script(KILLED, url)
    try:
        deadline = time.monotonic() + 30
        while len(marks(native)) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait(10)
    made = marks(native)
    assert 4 <= len(made) < len(keys)
    assert old(native).keys() & keys == made
    with native.engine.begin() as connection:  # its lease would last for 10 s more
        connection.execute(sa.update(WORKER).values(until=sa.func.now()))
    assert Backwards(native).approximate().written == len(keys) - len(made)
    assert marks(native) == keys


def test_a_row_that_is_edited_again_is_approximated_again(native, new_embedder):
    backward = Backwards(native)
    backward.approximate()
    made = []
    for text in ("First is a bank.", "Then is a garage."):
        edit(native, 3, text)
        assert 3 not in old(native)
        fill_new(native, new_embedder)
        assert backward.approximate().written == 1
        made.append(old(native)[3])
    assert not np.array_equal(*made)
    assert marks(native) == {3}
    assert read_keys(native, ["3"]) == []


def test_a_row_that_waits_for_its_new_vector_is_not_forgotten(native, new_embedder):
    backward = Backwards(native)
    backward.approximate()
    insert(native, 9000)
    assert backward.approximate() == Approximation(waiting=1)
    fill_new(native, new_embedder)
    with native.engine.begin() as connection:
        connection.execute(sa.update(queue.QUEUE).values(not_before=None))
    assert backward.approximate().written == 1


def test_a_row_that_the_app_has_locked_comes_later(native, new_embedder):
    backward = Backwards(native)
    backward.approximate()
    insert(native, 9000)
    fill_new(native, new_embedder)
    with native.engine.begin() as app:
        app.execute(sa.update(native.table).where(native.key == 9000).values(name="held"))
        assert backward.approximate() == Approximation(waiting=1)
    with native.engine.begin() as connection:
        connection.execute(sa.update(queue.QUEUE).values(not_before=None))
    assert backward.approximate().written == 1


@pytest.mark.parametrize("placement", ["column"], indirect=True)
class TestMarks:
    @pytest.fixture
    def approximated(self, native, new_embedder):
        """Row 1 and a new one."""
        backward = Backwards(native)
        backward.approximate()
        insert(native, 9000)
        edit(native, 1)
        fill_new(native, new_embedder)
        assert backward.approximate() == Approximation(written=2)
        return native

    def test_no_sample_of_the_old_model_has_them(self, approximated, old_embedder):
        spread = read_spread(approximated, 2 * ROWS)
        assert {row.key for row in spread} == set(map(str, range(2, ROWS + 1)))
        assert read_keys(approximated, ["1", "9000"]) == []
        assert len(sample_vectors(approximated).labels) == ROWS - 1
        assert "n9000" not in sample_vectors(approximated).labels
        assert read_traits(approximated).rows == ROWS - 1
        fidelity = measure_fidelity(approximated, approximated.old_vector, old_embedder, ROWS)
        assert (fidelity.rows, fidelity.foreign) == (ROWS - 1, [])

    def test_whose_the_vectors_are_is_asked_of_the_model_s_only(self, approximated):
        with approximated.engine.begin() as connection:
            connection.exec_driver_sql('delete from "Amenities" where id between 3 and 100000'
                                       " and id <> 9000")  # fmt: skip
        assert sample_old(approximated).keys == ["2"]

    def test_they_name_their_bridge(self, approximated):
        with approximated.engine.connect() as connection:
            events = [e for e in ledger.events(connection, approximated.id) if e.kind == KIND]
            bridge = connection.scalar(sa.text(
                "select encode(sha256(bridge), 'hex') from ragkit.rescue"
            ))  # fmt: skip
        [event] = events
        assert event.detail["bridge"] == bridge
        assert event.detail["method"] == "ridge 0.1"
        assert event.detail["marks"] == "ragkit.approximated"
        assert marks(approximated) == {1, 9000}

    def test_another_bridge_has_an_event_of_its_own(self, approximated, new_embedder):
        rescue(approximated, bridge_of(approximated))
        edit(approximated, 1, "Once more is a bank.")
        fill_new(approximated, new_embedder)
        assert Backwards(approximated).approximate().written == 1
        with approximated.engine.connect() as connection:
            by_event = connection.execute(sa.select(MARK.c.event, MARK.c.key)).all()
        assert len({event for event, _ in by_event}) == 2
        assert read_keys(approximated, ["1", "9000"]) == []

    def test_a_vector_of_the_old_model_counts_again(self, approximated, old_embedder):
        vector = old_embedder.embed_query(EDITED)
        with approximated.engine.begin() as connection:
            change = sa.update(approximated.table).where(approximated.key == 1)
            connection.execute(change.values({approximated.plan.old.column: vector}))
        assert [row.key for row in read_keys(approximated, ["1", "9000"])] == ["1"]

    def test_the_status_says_what_keeps_the_old_column(self, approximated):
        told = "the bridge, not the old model: 2 approximate vectors"
        assert read_status(approximated, None).old_kept_by == told

    def test_they_are_found_and_cleared_as_the_docs_say(self, approximated):
        page = (ROOT / "docs" / "own-database.md").read_text()
        block = next(b for b in page.split("```") if "ragkit.approximated" in b and "UPDATE" in b)
        find, clear, _ = block.removeprefix("sql").replace("documents", '"Amenities"').split(";")
        before = old(approximated)
        with approximated.engine.begin() as connection:
            found = connection.exec_driver_sql(find).all()
            connection.exec_driver_sql(clear)
        assert sorted(row.key for row in found) == ["1", "9000"]
        assert old(approximated).keys() == before.keys() - {1, 9000}

    def test_a_retirement_leaves_none(self, approximated):
        with approximated.engine.begin() as connection:
            ledger.record(connection, approximated.id, phases.CUT_OVER)
            drop_old_column(connection, approximated)
        assert marks(approximated) == set()
        assert read_status(approximated, None).old_kept_by is None


@pytest.mark.parametrize("placement", ["column", "side_table"], indirect=True)
class TestNothingIsOverwritten:
    def test_a_row_with_an_old_vector_is_never_changed(self, native, new_embedder):
        """Whatever rows have: a text or none, an old vector, a new one."""
        backward, fresh = Backwards(native), itertools.count(10_000)
        backward.approximate()

        @hypothesis.settings(max_examples=12, deadline=None)
        @hypothesis.given(st.lists(st.tuples(*[st.booleans()] * 3), min_size=1, max_size=8))
        def check(rows):
            keys = [next(fresh) for _ in rows]
            for key, (_, has_text, _) in zip(keys, rows, strict=True):
                insert(native, key, f"{TEXT} {key}" if has_text else " ")
            has_new = [key for key, row in zip(keys, rows, strict=True) if row[2]]
            if has_new:
                fill_new(native, new_embedder)
            for key, (has_old, *_) in zip(keys, rows, strict=True):
                if has_old:
                    with native.engine.begin() as connection:
                        change = sa.update(native.table).where(native.key == key)
                        vector = {native.plan.old.column: np.full(256, key, np.float32)}
                        connection.execute(change.values(vector))
            before, now = old(native), dict[int, np.ndarray]()
            new = column_of(native.engine, native, native.plan.new.column)
            backward.approximate()
            now = old(native)
            for key, vector in before.items():
                np.testing.assert_array_equal(now[key], vector)
            for key, (has_old, has_text, _) in zip(keys, rows, strict=True):
                assert (key in now) == (has_old or (has_text and new[key] is not None))

        check()


@pytest.mark.parametrize("placement", ["column"], indirect=True)
class TestRefused:
    @pytest.fixture
    def waiting(self, native, new_embedder):
        Backwards(native).approximate()
        insert(native, 9000)
        fill_new(native, new_embedder)
        return native

    def check_nothing(self, migration, reason):
        done = Backwards(migration).approximate()
        assert (done.written, done.waiting) == (0, 0)
        assert reason in done.refused
        assert 9000 not in old(migration)

    def test_without_a_bridge(self, waiting):
        rescue(waiting, None)
        self.check_nothing(waiting, NO_BRIDGE)

    def test_without_a_rescue(self, waiting):
        with waiting.engine.begin() as connection:
            connection.exec_driver_sql("drop table ragkit.rescue")
        self.check_nothing(waiting, NO_BRIDGE)

    def test_by_a_bridge_that_cannot_be_verified(self, waiting):
        with waiting.engine.begin() as connection:
            connection.exec_driver_sql(
                "update ragkit.rescue "
                "set bridge = set_byte(bridge, 100, 255 - get_byte(bridge, 100))"
            )
        self.check_nothing(waiting, "is not that of its plan: run the rescue again")

    def test_by_a_bridge_of_other_columns(self, waiting):
        rescue(waiting, Bridge("ridge", 9, np.eye(64, 128, dtype=np.float32)))
        self.check_nothing(waiting, "the bridge has shape (64, 128), the columns (64, 256)")

    def test_a_damaged_plan(self, waiting):
        with waiting.engine.begin() as connection:
            connection.exec_driver_sql("update ragkit.rescue set plan = plan || ' '")
        self.check_nothing(waiting, "does not have its checksum: run the rescue again")

    def test_a_row_that_the_bridge_maps_to_0_is_told(self, waiting, new_embedder):
        rescue(waiting, Bridge("ridge", 9, np.zeros((64, 256), np.float32)))
        assert Backwards(waiting).approximate() == Approximation()
        [refused] = dead_letters.list_all(waiting.reversed())
        assert (refused.key, refused.reason) == ("9000", "its new vector is 0 for the bridge")


@pytest.mark.parametrize("placement", ["column"], indirect=True)
def test_the_length_is_that_of_the_old_vectors(native, new_embedder):
    """The distance may be l2 or an inner product."""
    with native.engine.begin() as connection:
        connection.exec_driver_sql(
            'update "Amenities" set embedding = l2_normalize(embedding) * '
            "array_fill(7, array[256])::vector"
        )
    backward = Backwards(native)
    backward.approximate()
    insert(native, 9000)
    fill_new(native, new_embedder)
    assert backward.approximate().written == 1
    assert np.linalg.norm(old(native)[9000]) == pytest.approx(7, rel=1e-3)


@pytest.mark.parametrize("placement", ["column"], indirect=True)
def test_the_table_is_walked_once_and_after_that_the_queue_is_read(native, monkeypatch):
    backward, statements = Backwards(native), []
    backward.approximate()

    def note(connection, cursor, statement, *_):
        statements.append(statement)

    sa.event.listen(native.engine, "before_cursor_execute", note)
    backward.approximate()
    sa.event.remove(native.engine, "before_cursor_execute", note)
    assert statements
    assert [s for s in statements if "Amenities" in s] == []


class TestOldVectorsInASideTable:
    """The second migration of a table, whose first one had chosen it."""

    @pytest.fixture
    def second(self, engine, plan, new_embedder, old_embedder) -> Migration:
        make_table(engine, plan, TEXTS)
        first = Migration.open(changed(plan, {"new.placement": "side_table"}), engine)
        expand(first)
        list(run_backfill(changed_batches(first), new_embedder))
        places = {
            "old.model": plan.new.model, "old.column": plan.new.column,
            "old.placement": "side_table", "new.model": plan.old.model, "new.column": "third",
            "backfill.batch_size": 0,
        }  # fmt: skip
        migration = Migration.open(changed(plan, places), engine)
        expand(migration)
        list(run_backfill(migration, old_embedder))
        rescue(migration, bridge_of(migration))
        return migration

    def test_they_are_kept_and_marked_too(self, second, old_embedder):
        backward = Backwards(second)
        assert backward.approximate() == Approximation()
        insert(second, 9000)
        edit(second, 1)
        before = old(second)
        assert before.keys() == set(range(2, ROWS + 1))
        list(run_backfill(second, old_embedder, wait=False))
        assert backward.approximate() == Approximation(written=2)
        now = old(second)
        assert now.keys() == {*range(1, ROWS + 1), 9000}
        for key, vector in before.items():
            np.testing.assert_array_equal(now[key], vector)
        assert marks(second) == {1, 9000}
        assert {row.key for row in read_spread(second, 2 * ROWS)} == set(map(str, before))
        assert len(sample_vectors(second).labels) == len(before)
        assert not {"1", "9000"} & set(sample_old(second).keys)

    def test_a_vector_that_came_meanwhile_stays(self, second, old_embedder, monkeypatch):
        backward, to_old = Backwards(second), Bridge.to_old
        backward.approximate()
        insert(second, 9000)
        list(run_backfill(second, old_embedder, wait=False))

        def fill_first(self, vector):
            with second.engine.begin() as connection:
                connection.execute(
                    sa.text(f"insert into {second.reversed().new_place[0]} values "
                            "(9000, :vector, md5(:text)::uuid)"),
                    {"vector": str([1.0] * 64), "text": TEXT},
                )  # fmt: skip
            return to_old(self, vector)

        monkeypatch.setattr(Bridge, "to_old", fill_first)
        assert backward.approximate().written == 0
        np.testing.assert_array_equal(old(second)[9000], np.ones(64))
        assert marks(second) == set()


def changed_batches(migration):
    """Many texts a request."""
    return with_plan(migration, {"backfill.batch_size": 0})
