"""``dreambeam configs``: the configs that come with dreambeam."""

from __future__ import annotations

from typer import Argument

from pipelines.cli import options
from pipelines.cli.ending import DONE

app = options.new_app()


@app.command()
def configs(
    name: str | None = Argument(None, metavar="NAME", help="Config to print [list all]."), debug: bool = options.DEBUG
) -> int:
    """List the configs that come with dreambeam, or print one."""
    from pipelines.config.run_config import ConfigError
    from pipelines.config.shipped_configs import shipped, summary

    known = shipped()
    if name is None:
        for each, file in known.items():
            print(f"{each:14} {summary(file)}")
    elif name in known:
        print(known[name].read_text(encoding="utf-8"), end="")
    else:
        raise ConfigError(f"there is no config {name!r}; choices: {', '.join(known)}")
    return DONE
