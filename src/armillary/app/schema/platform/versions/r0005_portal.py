"""What the portal wants of the records: letters of all subjects lie in one outbox."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Move the letters of batch into the common outbox. Who waits for a submit stays where it is."""
    _one_outbox()


def _one_outbox() -> None:
    db = op.get_bind()
    found = sa.inspect(db)
    if not found.has_table("batch_notices") or found.has_table("notices_post"):
        return
    op.create_table(
        "notices_post",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("about", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("target", sa.String(2048), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("locale", sa.String(10), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", sa.DateTime, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
    )
    op.create_index("notices_post_due", "notices_post", ["state", "next_at"])
    op.create_index("notices_post_about", "notices_post", ["about"])
    put = sa.text(
        "INSERT INTO notices_post"
        " (id, about, kind, channel, target, owner, locale, state, body, tries, next_at, said)"
        " VALUES (:id, :about, :kind, :channel, :target, :owner, 'en', :state, :body, :tries, :next_at, :said)"
    ).bindparams(sa.bindparam("body", type_=sa.JSON))
    old = sa.text("SELECT * FROM batch_notices WHERE state IN ('due', 'sent', 'given_up')")
    for row in db.execute(old).mappings().all():
        body = json.loads(row["body"]) if isinstance(row["body"], str) else dict(row["body"])
        db.execute(
            put,
            {
                **{name: row[name] for name in ("id", "target", "state", "tries", "next_at", "said")},
                "about": f"cluster/{row['cluster']}",
                "kind": f"batch.{body['event']}",
                "channel": row["kind"],
                "owner": body["owner"],
                "body": body,
            },
        )
    db.execute(sa.text("DELETE FROM batch_notices WHERE state IN ('due', 'sent', 'given_up')"))
