from ragkit.evaluation.questions import QuestionSet
from ragkit.report import rank_changes
from ragkit.report.rank_changes import RankChange
from ragkit.report.style import title_of
from tests.evaluation.example_evidence import make_comparison, make_questions


def counts_of(figure):
    """The numbers in the cells, by the old and the new place."""
    return {
        (int(text.get_position()[1]), int(text.get_position()[0])): int(text.get_text())
        for text in figure.axes[0].texts
    }


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_every_best_judged_row_is_counted_at_its_true_ranks(comparison):
    assert rank_changes.rank_changes(comparison) == [
        RankChange("q1", "0", 1, 11), RankChange("q2", "1", 11, 2),
    ]  # fmt: skip
    figure = rank_changes.matrix(comparison)
    assert title_of(figure) == (
        "Of 2 best-judged rows 1 rose and 1 fell; 0 are not among the first 10 of either model"
    )
    assert counts_of(figure) == {(0, 10): 1, (10, 1): 1}
    assert ticks(figure.axes[0].xaxis) == [*map(str, range(1, 11)), ">10"]


def test_rows_with_the_same_ranks_share_a_cell():
    old = {f"q{n}": ["x", str(n)] for n in range(7)}
    new = {question: rows[::-1] for question, rows in old.items()}
    figure = rank_changes.matrix(make_comparison(make_questions(7), old, new))
    assert counts_of(figure) == {(1, 0): 7}


def test_more_ranks_than_cells_share_them():
    rows = [f"r{n}" for n in range(24)]
    old, new = {"q0": [*rows, "0"]}, {"q0": ["0", *rows]}
    figure = rank_changes.matrix(make_comparison(make_questions(1), old, new, k=25))
    labels = ticks(figure.axes[0].yaxis)
    assert (labels[0], labels[-2], labels[-1]) == ("1-3", "25", ">25")
    assert counts_of(figure) == {(len(labels) - 2, 0): 1}


def test_without_a_change_there_is_a_sentence_and_without_judgements_nothing():
    rankings = {"q0": ["0", "x"]}
    same = make_comparison(make_questions(1), rankings, rankings)
    assert rank_changes.matrix(same) == "None of the 1 best-judged rows changed its rank."
    unjudged = make_comparison(QuestionSet({"q0": "tea"}, {}), rankings, rankings)
    assert rank_changes.matrix(unjudged) is None


def test_the_largest_changes_are_a_table(shown, comparison):
    html, text = shown(rank_changes.largest, comparison)
    assert "tea &lt;b&gt;" in html
    words = " ".join(text.split())
    assert "nap Row 1 >10 2 rose tea <b> Row 0 1 >10 fell Of 1 rises and 1 falls" in words
    assert shown(rank_changes.largest, None) == ("", "")
