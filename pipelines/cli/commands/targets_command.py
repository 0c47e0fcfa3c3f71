"""``dreambeam targets``: the classes that a sound can be dreamed toward."""

from __future__ import annotations

import os

from typer import Argument, Option

from pipelines.cli import options
from pipelines.cli.ending import DONE, WRONG_ARGUMENTS, complain

app = options.new_app()


@app.command()
def targets(
    words: str = Argument(..., metavar="WORDS", help="Part of a name ('siren'), or an ontology branch ('Alarm/*')."),
    limit: int = Option(10, min=1, max=521, help="How many classes to print."),
    ontology: str | None = Option(
        None, envvar="DREAMBEAM_ONTOLOGY", help="AudioSet's ontology [downloaded].", metavar="FILE"
    ),
    debug: bool = options.DEBUG,
) -> int:
    """Search the 521 classes that can be targets.

    Each class is printed with its place in AudioSet's ontology.
    """
    from augment.targets.classes import yamnet_classes
    from augment.targets.ontology import OntologyError, audioset_ontology

    if ontology:
        os.environ["DREAMBEAM_ONTOLOGY"] = ontology
    classes = yamnet_classes()
    if words.strip().endswith("/*"):
        branch = audioset_ontology().branch(words.strip()[:-2].strip(), classes)
        found = [classes[index] for index in branch][:limit]
    else:
        found = classes.search(words, limit)
    if not found:
        complain(f"no class is like {words!r}")
        return WRONG_ARGUMENTS
    try:
        paths = audioset_ontology().paths
    except OntologyError as error:
        complain(f"printed without the ontology: {error}")
        paths = None
    for each in found:
        print(f"{each.index:3}  {each.mid:13} {each.name}")
        for path in paths(each.mid) if paths else ():
            print(f"     {path}")
    return DONE
