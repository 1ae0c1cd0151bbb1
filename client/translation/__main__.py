"""`python -m client.translation`: what the catalogue lacks, holds in vain, or translates with other values.

`--write` puts missing texts into the catalogue without a translation, where a translator's tool finds them, and takes
out those that the code has no more.
"""

from __future__ import annotations

from typing import Annotated

import typer

from ceus_models.runtime.exit_codes import run_cli
from client.translation.catalogue import CATALOGUE, read_catalogue
from client.translation.review import find_trouble, renew
from client.translation.texts import collect_texts, list_unmarked

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    write: Annotated[bool, typer.Option("--write", help="Bring the catalogue to the texts of the code.")] = False,
) -> None:
    """List what has no translation. Exit code 1 where there is something."""
    texts, catalogue = collect_texts(), read_catalogue()
    if write:
        renew(catalogue, texts).save(str(CATALOGUE))
        catalogue = read_catalogue()
    trouble = [*(f"not marked: {one}" for one in list_unmarked()), *find_trouble(catalogue, texts)]
    for line in trouble:
        typer.echo(line)
    typer.echo(f"{len(catalogue)} texts in {CATALOGUE.name}, {len(trouble)} to be mended")
    raise typer.Exit(1 if trouble else 0)


if __name__ == "__main__":
    run_cli(app)
