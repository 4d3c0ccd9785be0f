"""What the journal shows at one moment: what is open for a judge, the figures, the remarks."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ragkit.evaluation.judging import chance
from ragkit.evaluation.judging.progress import Progress, precision_progress, preference_progress
from ragkit.evaluation.judging.record.agreement import agreement, one_key
from ragkit.evaluation.judging.record.lines import Preference, Relevance
from ragkit.evaluation.judging.record.standing import Judgements
from ragkit.evaluation.judging.turn import Turn


@dataclass(frozen=True)
class Settings:
    """`rows` of each list are shown. `pooled`: one row at a time, in place of two lists. `margin`
    and `floor` are limits of the net preference and of the precision."""

    judge: str
    folder: Path
    rows: int
    seed: int
    pooled: bool
    margin: float
    floor: float


@dataclass(frozen=True)
class View:
    """`texts`: the questions by id."""

    settings: Settings
    texts: dict[str, str]
    judgements: Judgements

    @cached_property
    def answers(self) -> list[Preference | Relevance]:
        """Of all judges, in this way of judging."""
        kind = Relevance if self.settings.pooled else Preference
        return [answer for answer in self.judgements.answers if isinstance(answer, kind)]

    @cached_property
    def asked(self) -> list[Preference | Relevance]:
        """This judge's."""
        judge = self.settings.judge
        return [answer for answer in self.answers if answer.asked and answer.judge == judge]

    @cached_property
    def open(self) -> dict[str, str]:
        """The questions that this judge may get, in the order of the draw: of those that another
        one has judged, only the shared ones."""
        judge, seed, done = self.settings.judge, self.settings.seed, self._done()
        by_anybody = {question for _, question in done}
        return {
            question: self.texts[question]
            for question in chance.draw(self.texts, seed, judge)
            if (judge, question) not in done
            and (question not in by_anybody or chance.is_shared(question, seed))
        }

    def _done(self) -> set[tuple[str, str]]:
        """Judges with the questions that they are through with."""
        if not self.settings.pooled:
            return {(answer.judge, answer.question) for answer in self.answers}
        rows: dict[tuple[str, str], set[str]] = {}
        done = set()
        for answer in self.answers:
            if isinstance(answer, Relevance):
                place = answer.judge, answer.question
                rows.setdefault(place, set()).add(answer.row)
                if answer.rows <= rows[place]:
                    done.add(place)
        return done

    @cached_property
    def progress(self) -> Progress:
        settings, left = self.settings, len(self.open)
        if settings.pooled:
            return precision_progress(self.judgements, settings.floor, settings.rows, left)
        return preference_progress(self.judgements, settings.margin, left)

    def remarks(self) -> list[str]:
        """What is to know about the judges and the judgements; may be empty."""
        said = [
            f"{judge} only ever pressed “{key}”: were the lists looked at?"
            for judge, key in one_key(self.answers).items()
        ]
        found = agreement(self.answers)
        if found.same is not None:
            alpha = "" if found.alpha is None else f", Krippendorff’s alpha {found.alpha:.2f}"
            unit = "rows" if self.settings.pooled else "questions"
            said.append(
                f"{found.judged} {unit} have several judges: {found.same:.0%} of their answers "
                f"are the same{alpha}"
            )
        left_out = self.judgements.describe_left_out()
        return [*said, left_out.capitalize()] if left_out else said

    def state(self, turn: Turn | None) -> dict[str, Any]:
        """What a front end shows, as JSON. It does not tell which list is the new model's."""
        test, (least, most) = self.progress.test, self.progress.bounds
        return {
            "mode": "row" if self.settings.pooled else "pair",
            "turn": turn.id if turn else "",
            **(turn.shown() if turn else {"question": ""}),
            "judge": self.settings.judge,
            "judged": len(self.asked),
            "same": sum(not answer.asked for answer in self.answers),
            "remaining": len(self.open),
            "figure": self.progress.figure,
            "outlook": self.progress.outlook,
            "ends": self.progress.ends,
            "limit": self.progress.limit,
            "decided": {True: "yes", False: "no", None: "open"}[test.above],
            "bar": {
                name: round(100 * (getattr(test, name) - least) / (most - least), 2)
                for name in ("low", "mean", "high", "limit")
            },
            "remarks": self.remarks(),
            "can_undo": bool(self.asked),
            "busy": False,
            "error": "",
        }
