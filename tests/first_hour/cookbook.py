"""A database that is not the airport's: recipes, with the vectors of a small model."""

from itertools import product
from pathlib import Path

import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.embedding.load import load_embedder

ROWS = 5000
OPERATOR, WAITER = "librarian", "waiter"
PASSWORDS = {OPERATOR: "books & shelves", WAITER: "soup/of@the:day"}
HOW = ("Roast", "Braised", "Grilled", "Pickled", "Smoked", "Steamed", "Baked", "Raw", "Fried",
       "Poached")  # fmt: skip
WHAT = ("fennel", "trout", "aubergine", "lamb shoulder", "lentils", "beetroot", "chicken thighs",
        "tofu", "squid", "white beans")  # fmt: skip
WITH = ("lemon and thyme", "miso", "yoghurt and mint", "smoked paprika", "browned butter",
        "ginger", "anchovies", "dates and cumin", "horseradish", "black vinegar")  # fmt: skip
FOR = ("a cold evening", "four people in a hurry", "a picnic", "a long table", "one")
CUISINES = ("Levantine", "Japanese", "French", "Sichuan", "Nordic")


def make_cookbook(superuser: sa.URL) -> sa.URL:
    """The database `cookbook`, with a table of its owner's; the operator may connect, no more.
    The answer is the superuser's URL of it."""
    admin = sa.create_engine(superuser)
    with autocommit(admin) as connection:
        for role in ("chef", OPERATOR, WAITER):
            connection.exec_driver_sql(f"create role {role} login")
        for role, password in PASSWORDS.items():
            connection.exec_driver_sql(f"alter role {role} password '{password}'")
        connection.exec_driver_sql("create database cookbook owner chef")
    admin.dispose()
    own = superuser.set(database="cookbook")
    engine = sa.create_engine(own)
    with engine.begin() as connection:
        for statement in (
            "revoke all on database cookbook from public",
            f"grant connect on database cookbook to {OPERATOR}, {WAITER}",
            "create extension vector",
            "create schema kitchen authorization chef",
            "set role chef",
            'create table kitchen."Recipe" (slug text primary key, "title" text, cuisine text, '
            "instructions text, servings int, vec vector(64))",
            f"grant usage on schema kitchen to {WAITER}",
            f'grant select on kitchen."Recipe" to {WAITER}',
        ):
            connection.exec_driver_sql(statement)
        _fill(connection)
        connection.exec_driver_sql(
            'create index on kitchen."Recipe" using hnsw (vec vector_cosine_ops)'
        )
    with autocommit(engine) as connection:
        connection.exec_driver_sql('vacuum analyze kitchen."Recipe"')
    engine.dispose()
    return own


def _fill(connection: sa.Connection) -> None:
    rows = []
    for n, (how, what, taste, guests) in enumerate(product(HOW, WHAT, WITH, FOR)):
        title = f"{how} {what} with {taste}"
        text = f"{title}, for {guests}. Salt the {what} early; finish with {taste}. Serves {n % 8}."
        rows.append({"slug": f"recipe-{n}", "title": title, "text": text, "servings": n % 8,
                     "cuisine": CUISINES[n * 7919 % 5]})  # fmt: skip
    vectors = load_embedder("wordllama-64").embed_documents([row["text"] for row in rows])
    insert = sa.text(
        'insert into kitchen."Recipe" values '
        "(:slug, :title, :cuisine, :text, :servings, cast(:vec as vector))"
    )
    pairs = zip(rows[:ROWS], vectors, strict=False)
    connection.execute(insert, [{**row, "vec": str(v.tolist())} for row, v in pairs])


APP = Path(__file__).with_name("recipe_app.py")
