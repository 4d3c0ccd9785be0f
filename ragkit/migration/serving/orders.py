"""What an app is told when it is switched: a script by its environment, a person in words."""

from ragkit.migration.migration import Migration


def settings(migration: Migration) -> dict[str, dict[str, str]]:
    """Variables for a script of the user's, by the model that it is to deploy. After a view or a
    swap, the app finds either model's vectors by the usual name of the column."""
    plan, told = migration.plan, {}
    for side, known in ((plan.old, migration.known_old), (plan.new, migration.known_new)):
        by_view = plan.app.way == "view" and side is plan.new
        schema = plan.app.view_schema if by_view else plan.table.schema_name
        told[side.model] = {
            "EMBEDDING_MODEL": side.model,
            "RAGKIT_COLUMN": side.declared if plan.app.way == "column" else plan.old.declared,
            "RAGKIT_TABLE": f"{schema}.{plan.table.name}",
            "RAGKIT_DIMENSION": str(known.space.dimension) if known else "",
            "RAGKIT_SCHEMA": schema,
        }
    return told


def orders(migration: Migration) -> dict[str, str]:
    """What a person has to know beyond the model, by the model; {} where the app chooses a
    column."""
    plan = migration.plan
    match plan.app.way:
        case "view":
            own, view = plan.table.schema_name, plan.app.view_schema
            return {
                plan.new.model: f"start the new revision, beside the old one, with "
                f"options=-csearch_path={view},{own} (or the schema argument {view}) and "
                f"EMBEDDING_MODEL={plan.new.model}",
                plan.old.model: f"the old revision, which finds its table in {own} as before",
            }
        case "swap":
            usual = plan.old.declared
            return {
                model: f"stop it, swap, and start it with EMBEDDING_MODEL={model}: from the swap "
                f"on, column {usual} holds the vectors of {model}, and {_meets(migration)}"
                for model in (plan.old.model, plan.new.model)
            }
    return {}


def _meets(migration: Migration) -> str:
    """What a process does that goes on by the other model."""
    old, new = migration.known_old, migration.known_new
    if old and new and old.space.dimension != new.space.dimension:
        return "each search of a process that still runs by the other model fails"
    return "a process that still runs by the other model answers unrelated rows"
