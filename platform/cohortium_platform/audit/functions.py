"""What PostgreSQL itself does for the log: draw tickets from a sequence that each tenant has of its own.

Here: three functions and a trigger, made together with the table of entries. Not here: who calls them (`tickets`).

They run with their owner's rights (SECURITY DEFINER), since the application role may neither read a sequence, which
would tell how much any tenant does, nor set one, which would hide a gap. Each looks at the transaction's tenant only.
"""

from __future__ import annotations

from sqlalchemy import DDL, Table, event

from cohortium_platform.database import APP_ROLE
from cohortium_platform.migrations.protection import CURRENT_TENANT

__all__ = ["attach_tickets"]

_SAFELY = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp"
_NAME = "'audit_tickets_' || replace({tenant}::text, '-', '')"

_OPEN_LOG = f"""
    CREATE OR REPLACE FUNCTION audit_open_log() RETURNS void {_SAFELY} AS $$
    DECLARE
        tenant uuid := {CURRENT_TENANT};
    BEGIN
        EXECUTE format('CREATE SEQUENCE public.%I', {_NAME.format(tenant="tenant")});
    END $$
"""

# The transaction takes its number before the ticket: a ticket's transaction is then never overlooked among those that
# still run. A row for another tenant is refused here, before it could draw one of that tenant's tickets.
_GIVE_TICKET = f"""
    CREATE OR REPLACE FUNCTION audit_give_ticket() RETURNS trigger {_SAFELY} AS $$
    BEGIN
        IF NEW.tenant_id IS DISTINCT FROM {CURRENT_TENANT} THEN
            RAISE insufficient_privilege
                USING MESSAGE = 'new row violates row-level security policy for table "audit_entries"';
        END IF;
        IF NEW.at NOT BETWEEN '2000-01-01Z' AND '3000-01-01Z' OR array_ndims(NEW.patients) > 1
            OR array_position(NEW.patients, NULL) IS NOT NULL THEN
            RAISE check_violation USING MESSAGE = 'an audit entry has a moment, and patients that are hashes';
        END IF;
        PERFORM pg_current_xact_id();
        NEW.ticket := nextval(('public.' || {_NAME.format(tenant="NEW.tenant_id")})::regclass);
        RETURN NEW;
    END $$
"""

# The name is made of the transaction's tenant, a UUID.
_TICKETS_DRAWN = f"""
    CREATE OR REPLACE FUNCTION audit_tickets_drawn() RETURNS bigint {_SAFELY} AS $$
    DECLARE
        tenant uuid := {CURRENT_TENANT};
        drawn bigint;
    BEGIN
        EXECUTE format(
            'SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM public.%I', {_NAME.format(tenant="tenant")}
        ) INTO drawn;
        RETURN drawn;
    END $$
"""  # noqa: S608 - no value of anyone's is in it

_TRIGGER = """
    CREATE TRIGGER ticket BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION audit_give_ticket()
"""


def attach_tickets(entries: Table) -> None:
    """Make the functions and the trigger whenever the table of entries is made."""
    callable_ones = ("audit_open_log()", "audit_tickets_drawn()")
    statements = [_OPEN_LOG, _GIVE_TICKET, _TICKETS_DRAWN, _TRIGGER]
    statements += [f"REVOKE ALL ON FUNCTION {each} FROM PUBLIC" for each in (*callable_ones, "audit_give_ticket()")]
    statements += [f"GRANT EXECUTE ON FUNCTION {each} TO {APP_ROLE}" for each in callable_ones]
    for statement in statements:
        event.listen(entries, "after_create", DDL(statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
