import pytest

from ragkit.errors import ConfigError
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.language import NEUTRAL, choose_language
from tests.conftest import TEXTS, changed, make_table, with_plan

GERMAN = [
    "Das Restaurant am Hafen hat jeden Tag frischen Fisch und einen Blick auf die Schiffe.",
    "In der Apotheke gibt es Mittel gegen Kopfschmerzen, und sie ist auch am Sonntag offen.",
    "Ein Laden für Wolle, in dem man sich auch hinsetzen und stricken kann.",
]
FRENCH = [
    "Le restaurant du port sert du poisson frais tous les jours, avec une vue sur les bateaux.",
    "La pharmacie est ouverte le dimanche et vous y trouverez des médicaments pour les enfants.",
]
CHINESE = ["港口餐厅每天都有新鲜的鱼。", "药店星期天也营业。"]


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (TEXTS, "english"),
        (GERMAN, "german"),
        (FRENCH, "french"),
        (CHINESE, NEUTRAL),
        (["A17 B22", "C9 D4"], NEUTRAL),
        ([None, ""], NEUTRAL),
    ],
)
def test_the_language_is_that_of_the_texts(engine, plan, texts, language):
    make_table(engine, plan, texts)
    assert choose_language(Migration.open(plan, engine)) == language


def test_the_plan_decides(migration):
    assert choose_language(with_plan(migration, {"rescue.language": "simple"})) == "simple"


def test_a_language_without_a_dictionary_is_refused_with_those_that_have_one(migration):
    klingon = with_plan(migration, {"rescue.language": "klingon"})
    with pytest.raises(ConfigError, match=r"'klingon'.*configurations are .*english.*simple"):
        choose_language(klingon)


def test_a_language_that_no_search_would_find_is_refused(migration):
    with migration.engine.begin() as connection:
        connection.exec_driver_sql("create schema apart")
        connection.exec_driver_sql("create text search configuration apart.own (copy = english)")
    with pytest.raises(ConfigError, match="configurations are"):
        choose_language(with_plan(migration, {"rescue.language": "own"}))


def test_a_name_cannot_be_more_than_a_name(engine, plan, amenities):
    odd = Migration.open(changed(plan, {"rescue.language": "x'; drop table y; --"}), engine)
    with pytest.raises(ConfigError, match="configurations are"):
        choose_language(odd)


def test_a_text_of_more_lexemes_than_postgresql_makes(engine, plan):
    text = " ".join(f"{number:x}" * 4 for number in range(1_000_000, 1_060_000))
    make_table(engine, plan, [*TEXTS, text])
    assert choose_language(Migration.open(plan, engine))
