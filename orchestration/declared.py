"""Declarations in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def read_yaml(file: Path) -> Any:
    """What a file declares, read by libyaml: PyYAML's own reader takes four times as long.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not UTF-8.
        yaml.YAMLError: it is not YAML.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(file.read_text(encoding="utf-8"), loader)
