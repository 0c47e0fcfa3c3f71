"""``dreambeam configs``: the configs that come with dreambeam."""

from __future__ import annotations

from pipelines.config.run_config import ConfigError
from pipelines.config.shipped_configs import shipped, summary


def run(name: str | None) -> int:
    """Print a line for each config, or the text of one."""
    known = shipped()
    if name is None:
        for each, file in known.items():
            print(f"{each:14} {summary(file)}")
        return 0
    if name not in known:
        raise ConfigError(f"there is no config {name!r}; choices: {', '.join(known)}")
    print(known[name].read_text(encoding="utf-8"), end="")
    return 0
