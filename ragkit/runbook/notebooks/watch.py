"""The probe beside a run: steady questions to the app, whose log shows every one that failed."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict

from ragkit.checkout import ROOT
from ragkit.deploy import probe
from ragkit.errors import RagkitError
from ragkit.runbook.deployment import check_of
from ragkit.runbook.parameters import Parameters
from ragkit.runbook.questions import probe_questions
from ragkit.runbook.runbook import Runbook
from ragkit.sandbox.sample import QUESTIONS


def watch_app(stack: ExitStack, parameters: Parameters, tell: Callable[[str], object]) -> None:
    """Until the stack is closed: with the sandbox's own questions on its app, whatever the
    comparison asks; with the plan's, or labels of rows, on another app that answers."""
    runbook = Runbook.of(parameters)
    plan, check = runbook.plan, check_of(runbook.plan)
    questions, rate = QUESTIONS, probe.RATE
    if plan.app.target != "local":
        rate = plan.check.per_second
        if plan.app.target not in ("manual", "command") or not (plan.app.url and rate):
            return
        try:
            texts = probe_questions(runbook.migration)
            with check.client(plan.app.url) as client:
                check.ask(client, texts[0])
        except RagkitError as error:
            tell(f"the app is not watched: {error}")
            return
        questions = runbook.run_dir / "questions.jsonl"
        questions.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    arguments = [runbook.app.url, str(questions), str(runbook.probe_log), str(rate)]
    command = [sys.executable, "-m", "ragkit.deploy.probe", *arguments, json.dumps(asdict(check))]
    stack.callback(_stop, subprocess.Popen(command, cwd=ROOT))


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=probe.TIMEOUT_SECONDS * 2)
