"""The same front end in a cell of a notebook."""

from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets

from ragkit.evaluation.judging.session import Session
from ragkit.runbook.judging.page import SCRIPT, STYLE


class JudgeWidget(anywidget.AnyWidget):
    """Shows a session. A run without anybody shows the state in words and goes on."""

    _esm = SCRIPT
    _css = STYLE
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, session: Session):
        super().__init__(state=session.handle({}))
        self._session = session
        self.on_msg(self._answer)

    def _answer(self, _: object, message: Mapping[str, Any], __: object) -> None:
        self.state = self._session.handle(message)
        self.send(self.state)  # an equal state is not synchronised, and the front end waits for it

    def __repr__(self) -> str:
        state = self.state
        return state.get("error") or f"{state['figure']}. {state['outlook']}."
