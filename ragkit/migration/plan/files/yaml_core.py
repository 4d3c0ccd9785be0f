"""YAML as people expect it: the core schema of YAML 1.2, and no repeated key.

PyYAML follows YAML 1.1, where `no` is false, `12:30` is 750 and `1e-3` is a text.
"""

import re
from collections.abc import Hashable
from typing import Any

import yaml

_CORE_SCHEMA = {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)"
    r"|\.(nan|NaN|NAN)",
    "null": r"~|null|Null|NULL|",
}


class CoreLoader(yaml.SafeLoader):
    """Raises yaml.YAMLError for a key that stands twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                continue  # the parent refuses it
            if key in lines:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key!r} is there twice, in lines {lines[key]} and {line}"
                )
            lines[key] = line
        return super().construct_mapping(node, deep)


class CoreDumper(yaml.SafeDumper):
    """Quotes a text that either version of YAML would take for another type."""


CoreLoader.yaml_implicit_resolvers = {}  # of its own: those of YAML 1.1 are not inherited
for _name, _pattern in _CORE_SCHEMA.items():
    for _class in (CoreLoader, CoreDumper):
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), None
        )


def _construct_int(loader: CoreLoader, node: yaml.ScalarNode) -> int:
    text = node.value
    return int(text, 0) if text.startswith(("0o", "0x")) else int(text)


CoreLoader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def load_yaml(text: str) -> Any:
    """Raises yaml.YAMLError."""
    return yaml.load(text, Loader=CoreLoader)


def dump_yaml(value: Any, style: str | None = None) -> str:
    """The inverse of load_yaml; `style` is that of every scalar, such as '"'."""
    return yaml.dump(
        value, Dumper=CoreDumper, sort_keys=False, allow_unicode=True, default_style=style,
        width=float("inf"),
    )  # fmt: skip
