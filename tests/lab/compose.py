"""docker-compose.yml as an engine would understand it, for the part of YAML that ours is written in.

That part: mappings by two blanks of indentation, `&name` behind a key, `<<: *name`, comments on their own lines, and
values that are plain words, whole numbers, true, or JSON. Anything else is refused, so that nothing is misread.
"""

import json
import re
from pathlib import Path

_LINE = re.compile(r"^(?P<indent>(?:  )*)(?P<key>[\w.-]+|<<):(?: (?P<value>\S.*))?$")
_PLAIN = re.compile(r"^[\w./:-]+$")
_VARIABLE = re.compile(r"\$\{(\w+):([-?])([^}]*)\}")


class Missing(Exception):
    """A variable that has to be set is not."""


def read(path: Path) -> dict:
    """The whole file, with its merges done."""
    anchors: dict[str, dict] = {}
    top: dict = {}
    open_maps = [top]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.match(line)
        assert found is not None, f"line {number} is not of the part of YAML that is understood"
        depth, key, value = len(found["indent"]) // 2, found["key"], found["value"]
        assert depth < len(open_maps), f"line {number} is indented too far"
        del open_maps[depth + 1 :]
        here = open_maps[depth]
        if key == "<<":
            assert not here, f"line {number}: a merge comes first, so that what follows overrides it"
            here.update(anchors[value.removeprefix("*")])
        elif value is None or value.startswith("&"):
            here[key] = {}
            open_maps.append(here[key])
            if value is not None:
                anchors[value[1:]] = here[key]
        else:
            here[key] = _scalar(value, number)
    return top


def _scalar(word: str, number: int) -> object:
    if word[0] in '["':
        return json.loads(word)
    assert _PLAIN.match(word), f"line {number}: {word!r} may mean something else in YAML: quote it"
    return True if word == "true" else int(word) if word.isdecimal() else word


def filled(value, variables: dict[str, str]):
    """`value` with every ${NAME:-default} and ${NAME:?message} replaced. Raises Missing with name and message."""
    if isinstance(value, dict):
        return {key: filled(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, variables) for each in value]
    return _VARIABLE.sub(lambda found: _one(found, variables), value) if isinstance(value, str) else value


def _one(found: re.Match[str], variables: dict[str, str]) -> str:
    name, kind, rest = found.groups()
    if kind == "?" and not variables.get(name):
        raise Missing(f"{name}: {rest}")
    return variables.get(name) or (rest if kind == "-" else "")
