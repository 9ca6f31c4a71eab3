"""``skep features``: what this machine's kernel can do, found out by trying."""

from __future__ import annotations

import json
from itertools import groupby

import click

_HEADINGS = {
    "program type": "Program types (and how many helpers each may call)",
    "map type": "Map types",
    "instruction": "Instructions beyond the first ones",
    "ability": "Abilities",
    "kfunc": "Kernel functions that programs may call",
    "setting": "Settings",
    "option": "Options of the build",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, helpers by name.")
def command(as_json: bool) -> None:
    """Show what this machine's kernel supports.

    Loads the smallest program and map of each kind and drops it at once; nothing is attached. Needs CAP_BPF,
    CAP_PERFMON and CAP_NET_ADMIN (root has them).
    """
    from skep.engines.kernel.features import Feature, detect

    found = list(detect())
    if as_json:
        for feature in found:
            click.echo(json.dumps(_as_json(feature)))
        return

    def line(feature: Feature) -> str:
        mark = "yes" if feature.supported else "no"
        more = f"{len(feature.helpers):>4} helpers" if feature.helpers else feature.detail
        return f"  {mark:<4}{feature.name:<36}{more}".rstrip()

    for number, (area, group) in enumerate(groupby(found, key=lambda feature: feature.area)):
        members = list(group)
        click.echo(("\n" if number else "") + click.style(_HEADINGS[area], bold=True))
        if area == "kfunc":
            click.echo(f"  {len(members)} (their names: --json)")
            continue
        for feature in members:
            click.echo(line(feature))


def _as_json(feature: object) -> dict[str, object]:
    from skep.engines.kernel.features import Feature

    assert isinstance(feature, Feature)
    row: dict[str, object] = {"kind": feature.area, "name": feature.name, "supported": feature.supported}
    if feature.detail:
        row["value"] = feature.detail
    if feature.area == "program type":
        row["helpers"] = list(feature.helpers)
    return row
