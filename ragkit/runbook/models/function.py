"""What a deployed function needs to call the plan's models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from ragkit.embedding.catalogue.facts import dump_facts
from ragkit.embedding.catalogue.providers import PROVIDERS
from ragkit.embedding.service.keys import SECRET, key_variable, needs_key
from ragkit.migration.plan import Plan
from ragkit.runbook.models.keys import models_of


@dataclass(frozen=True)
class FunctionNeeds:
    """`requirements`: lines of its requirements.txt. `secrets`: the Secret Manager's by the
    variables that they are mounted as. `facts`: JSON about its models; "" for none. `missing`: what
    keeps a deployment from working, a sentence each; the way back needs none of it."""

    requirements: tuple[str, ...] = ()
    secrets: dict[str, str] = field(default_factory=dict)
    facts: str = ""
    missing: tuple[str, ...] = ()


def function_needs(plan: Plan, env: Mapping[str, str]) -> FunctionNeeds:
    """For both models: the way back is the same source."""
    packages, secrets, missing = dict[str, None](), dict[str, str](), list[str]()
    for model in models_of(plan):
        packages |= dict.fromkeys(PROVIDERS[model.provider].packages)
        name = key_variable(model)
        if name and (named := env.get(f"{name}{SECRET}")):
            secrets[name] = named
        elif name and needs_key(model):
            missing.append(
                f"the function needs the key of {model.name}: set {name}{SECRET} to the name of "
                "its secret in Secret Manager"
            )
    lines = []
    for package in packages:
        try:
            lines.append(f"{package}=={version(package)}")
        except PackageNotFoundError:
            missing.append(
                f"the function needs the package {package!r} in the version that is here, and it "
                "is not here: install the extra of its provider"
            )
    facts = dump_facts(plan.facts) if plan.facts else ""
    return FunctionNeeds(tuple(lines), secrets, facts, tuple(missing))
