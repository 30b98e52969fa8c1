"""Records of an older version are brought up to date, whole, and nothing in them is lost."""

import sqlite3
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import OperationalError

from armillary.accounts.store import AccountsStore
from armillary.app import schema
from armillary.app.database import make_engine
from armillary.app.schema import HEADS, Kind, bring_up_to_date
from armillary.base.errors import Unavailable
from armillary.batch.store.tables import create_all as create_batch
from armillary.cloud import build  # noqa: F401 - it knows all tables
from armillary.cloud import store as cloud_store
from armillary.notices.tables import create_all as create_notices
from armillary.vospace.store import create_all as create_vospace

OLD = Path(__file__).parent / "records_of_0001"
KINDS: list[Kind] = ["platform", "cloud"]


def old_records(path: Path, kind: Kind) -> Engine:
    with sqlite3.connect(path) as connection:
        connection.executescript((OLD / f"{kind}.sql").read_text())
    return make_engine(f"sqlite:///{path}")


def make_missing(engine: Engine, kind: Kind) -> None:
    if kind == "platform":
        AccountsStore(engine=engine).create_all()
        create_vospace(engine)
        create_batch(engine)
        create_notices(engine)
    else:
        cloud_store.create_all(engine)


def shape(engine: Engine) -> dict[str, object]:
    found = inspect(engine)
    return {
        table: (
            {c["name"]: (str(c["type"]), c["nullable"]) for c in found.get_columns(table)},
            {i["name"]: i["column_names"] for i in found.get_indexes(table)},
            sorted(tuple(u["column_names"]) for u in found.get_unique_constraints(table)),
        )
        for table in found.get_table_names()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_records_of_the_first_version_come_to_have_the_shape_of_new_ones(tmp_path: Path, kind: Kind):
    new = make_engine(f"sqlite:///{tmp_path}/new.db")
    bring_up_to_date(new, kind)
    make_missing(new, kind)
    old = old_records(tmp_path / "old.db", kind)
    bring_up_to_date(old, kind)
    make_missing(old, kind)
    fresh, grown = shape(new), shape(old)
    assert {table: grown[table] for table in fresh} == fresh


def test_people_projects_and_servers_are_read_after_the_change(tmp_path: Path):
    platform = old_records(tmp_path / "platform.db", "platform")
    bring_up_to_date(platform, "platform")
    store = AccountsStore(engine=platform)
    store.create_all()
    with store.read() as records:
        admin = records.projects.by_name("admin")
    assert admin and admin.furnished
    cloud = old_records(tmp_path / "cloud.db", "cloud")
    bring_up_to_date(cloud, "cloud")
    make_missing(cloud, "cloud")
    with cloud.connect() as connection:
        (server,) = cloud_store.SERVERS.find(connection)
        assert (server.name, server.vm_state, server.disk_config) == ("one", "active", "MANUAL")
        assert all(port.vnic_type == "normal" for port in cloud_store.PORTS.find(connection))


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_leaves_a_copy_and_is_made_once(tmp_path: Path, kind: Kind):
    engine = old_records(tmp_path / "old.db", kind)
    bring_up_to_date(engine, kind)
    copy = tmp_path / "old.db.before-0001"
    made = copy.stat().st_mtime_ns
    bring_up_to_date(engine, kind)
    assert copy.stat().st_mtime_ns == made
    assert "alembic_version" not in inspect(make_engine(f"sqlite:///{copy}")).get_table_names()


def test_a_change_that_breaks_off_leaves_the_records_as_they_were(tmp_path: Path):
    engine = old_records(tmp_path / "old.db", "platform")
    with engine.begin() as connection:  # the column that the last step adds is there, in letters that hide it
        connection.execute(text("ALTER TABLE accounts_tokens ADD COLUMN CLOUD_SCOPE TEXT"))
    before = shape(engine)
    with pytest.raises(OperationalError, match="duplicate column"):
        bring_up_to_date(engine, "platform")
    assert shape(engine) == before


@pytest.mark.parametrize("kind", KINDS)
def test_records_of_a_newer_version_are_left_alone(tmp_path: Path, kind: Kind):
    engine = make_engine(f"sqlite:///{tmp_path}/new.db")
    bring_up_to_date(engine, kind)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Unavailable, match="newer version"):
        bring_up_to_date(engine, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_the_newest_revision_is_the_one_that_new_records_are_marked_with(kind: Kind):
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / kind))
    assert ScriptDirectory.from_config(config).get_current_head() == HEADS[kind]


def test_letters_of_batch_that_were_not_sent_are_in_the_common_outbox(tmp_path: Path):
    engine = make_engine(f"sqlite:///{tmp_path}/old.db")
    create_batch(engine)
    row = {"cluster": 7, "kind": "mail", "target": "a@b.org", "tries": 2, "said": "", "next_at": "2026-01-01"}
    body = '{"event": "over", "owner": "ada"}'
    with engine.begin() as db:
        db.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        db.execute(text("INSERT INTO alembic_version VALUES ('0004')"))
        for column in ("body JSON", "tries INTEGER", "next_at DATETIME"):  # which it had then
            db.execute(text(f"ALTER TABLE batch_notices ADD COLUMN {column}"))
        for number, state in enumerate(("waiting", "due", "sent")):
            db.execute(
                text(
                    "INSERT INTO batch_notices (id, cluster, kind, target, state, body, tries, next_at, said)"
                    " VALUES (:id, :cluster, :kind, :target, :state, :body, :tries, :next_at, :said)"
                ),
                {**row, "id": str(number), "state": state, "body": body},
            )
    bring_up_to_date(engine, "platform")
    with engine.connect() as db:
        moved = db.execute(
            text("SELECT id, about, kind, channel, owner, state, tries FROM notices_post")
        ).all()
        left = db.execute(text("SELECT id FROM batch_notices")).scalars().all()
    assert [tuple(one) for one in moved] == [
        ("1", "cluster/7", "batch.over", "mail", "ada", "due", 2),
        ("2", "cluster/7", "batch.over", "mail", "ada", "sent", 2),
    ]
    assert left == ["0"]
    columns = {column["name"] for column in inspect(engine).get_columns("batch_notices")}
    assert columns == {"id", "cluster", "kind", "target", "state", "said"}
