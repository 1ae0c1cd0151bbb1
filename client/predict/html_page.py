"""The answer as one page of HTML: no script, no network, readable on a narrow window and printable as it is."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ceus_models.bundle.model_bundle import Bundle
from ceus_models.bundle.model_card import RESEARCH
from ceus_models.study.taxonomy import TYPE_WORDS
from client.data.sheets.quality_sheet import draw_curve
from client.predict import wording as words
from client.predict.pictures import U8, Pictures, Strip, scale_bar
from client.predict.prediction import NetAnswer, Prediction

_STYLE = """
:root { --ink: #1f2933; --soft: #52606d; --line: #d9dee4; --wash: #f2f5f8; --blue: #0b5394; --orange: #b45309; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 74rem; padding: 1rem 1.25rem 2rem; color: var(--ink); background: #fff;
  font: 15px/1.45 system-ui, "Noto Sans", Arial, sans-serif; -webkit-text-size-adjust: 100%; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .2rem 0; }
h2 { font-size: 1.02rem; margin: 1.3rem 0 .4rem; }
p { margin: .3rem 0; }
.soft { color: var(--soft); font-size: .88rem; }
.notice { font-weight: 600; border: 2px solid var(--ink); padding: .35rem .7rem; }
.cautions { list-style: none; padding: 0; margin: .5rem 0; }
.cautions li { border: 1px solid var(--line); border-left: 6px solid var(--soft); padding: .3rem .7rem; margin: .3rem 0;
  overflow-wrap: anywhere; }
.cautions li.serious { border-left-color: var(--orange); background: #fff7ed; }
.cautions b { color: var(--orange); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 0 2.2rem; }
.columns > * { min-width: 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; font-weight: 400; padding: .16rem .5rem .16rem 0; vertical-align: middle; }
thead th { color: var(--soft); font-size: .82rem; vertical-align: bottom; }
td.number { text-align: right; white-space: nowrap; }
tr.first th, tr.first td { font-weight: 700; }
.bar { position: relative; height: .85rem; min-width: 4.5rem; background: var(--wash); border: 1px solid var(--line); }
.bar i { position: absolute; top: 0; bottom: 0; background: var(--blue); }
.bar i.minus { background: repeating-linear-gradient(45deg, #d97706 0 4px, #f5c078 4px 7px); }
.bar u { position: absolute; top: -2px; bottom: -2px; width: 2px; background: var(--ink); }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(6rem, 1fr)); gap: .3rem; margin: .2rem 0; }
.strip figure { margin: 0; }
.strip img { width: 100%; display: block; }
.strip figcaption { font-size: .75rem; color: var(--soft); text-align: center; }
.scale { height: .7rem; width: 12rem; vertical-align: middle; }
.curve { overflow-x: auto; }
svg { width: 100%; min-width: 44rem; height: auto; display: block; }
footer { margin-top: 1.4rem; border-top: 1px solid var(--line); padding-top: .4rem; overflow-wrap: anywhere; }
@media print { body { font-size: 11px; } svg { min-width: 0; }
  h2 { break-after: avoid; } figure, li, tr { break-inside: avoid; } }
"""


def page_of(prediction: Prediction, bundle: Bundle, pictures: Pictures) -> str:
    """The whole page. It holds the lesion's pseudonym: no name, no date, no path."""
    key = escape(prediction.lesion.sample.key)
    captions = words.captions(prediction, pictures)
    strips = "\n".join(_strip(captions[name], getattr(pictures, name)) for name in ("frames", "frames_cam"))
    flows = "\n".join(_strip(captions[name], getattr(pictures, name)) for name in ("flow", "flow_cam"))
    scale = (
        f'<p class="soft"><img class="scale" alt="" src="{_png(scale_bar(192, 8))}"> {escape(captions["scale"])}</p>'
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>fedceus: lesion {key}</title><style>{_STYLE}</style></head>
<body>
<p class="notice">{escape(RESEARCH)}</p>
<p class="soft">Lesion {key}</p>
<h1>{escape(words.headline(prediction))}</h1>
<p>{escape(words.why_other(prediction))}</p>
<ul class="cautions">{_cautions(prediction)}</ul>
<div class="columns">
<section><h2>Probabilities of the six types ({escape(prediction.model)})</h2>{_types(prediction)}
<h2>The nine nets</h2>{_nets(prediction.nets)}</section>
<section><h2>{escape(words.contribution_heading(prediction))}</h2>{_contributions(prediction)}</section>
</div>
<h2>{escape(words.curve_heading(prediction))}</h2>
<div class="curve" tabindex="0">{_curve(prediction)}</div>
<p class="soft">{escape(words.curve_parameters(prediction))}</p>
{strips}
{flows}
{scale}
<footer class="soft"><p>{escape(words.footing(bundle))}</p><p>{escape(RESEARCH)}</p></footer>
</body>
</html>
"""


def _cautions(prediction: Prediction) -> str:
    if not prediction.cautions:
        return "<li>Nothing unusual was found in the track, the pictures and the values.</li>"
    return "".join(
        f'<li class="serious"><b>Warning</b> {escape(one.text)}</li>' if one.serious else f"<li>{escape(one.text)}</li>"
        for one in prediction.cautions
    )


def _types(prediction: Prediction) -> str:
    rows = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    return _table(
        (),
        ((f"{name} <span class='soft'>{TYPE_WORDS[name]}</span>", _bar(0, p), words.percent(p)) for name, p in rows),
        first=True,
    )


def _nets(nets: Iterable[NetAnswer]) -> str:
    head = ("net", "probability, threshold", "", "frames", "flow", "weight of frames : flow")
    return _table(head, (_net(net) for net in nets))


def _net(net: NetAnswer) -> tuple[str, ...]:
    name = escape(net.net.partition("/")[2])
    shown = f"<b>{name}</b>" if net.yes else name
    shares = f"{100 * net.spatial_weight:.0f} : {100 * (1 - net.spatial_weight):.0f}"
    branches = (f"{100 * net.spatial:.0f} %", f"{100 * net.temporal:.0f} %")
    return (shown, _bar(0, net.probability, net.threshold), words.percent(net.probability), *branches, shares)


def _contributions(prediction: Prediction) -> str:
    rows = words.contribution_rows(prediction)
    top = max((abs(added) for _, _, added in rows), default=0.0) or 1.0

    def bar(added: float) -> str:
        share = added / top / 2
        return _bar(min(0.5, 0.5 + share), max(0.5, 0.5 + share), 0.5, minus=added < 0)

    head = ("", "value", "", "points")
    note = (
        '<p class="soft">Exact Shapley values: averaged over all orders in which the parts could become known. '
        "Striped: it spoke against the answer.</p>"
    )
    return (
        _table(head, ((escape(part), escape(value), bar(added), words.points(added)) for part, value, added in rows))
        + note
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], first: bool = False) -> str:
    """Rows of HTML cells; the first one of a row heads it, the bars stretch."""
    top = f"<thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead>" if head else ""
    body = []
    for number, (name, *cells) in enumerate(rows):
        mark = ' class="first"' if first and number == 0 else ""
        inner = "".join(cell if cell.startswith("<td") else f'<td class="number">{cell}</td>' for cell in cells)
        body.append(f"<tr{mark}><th>{name}</th>{inner}</tr>")
    return f"<table>{top}<tbody>{''.join(body)}</tbody></table>"


def _bar(low: float, high: float, mark: float | None = None, minus: bool = False) -> str:
    """A cell with a bar from low to high, 0-1, and a line across at mark."""
    kind = ' class="minus"' if minus else ""
    line = "" if mark is None else f'<u style="left:{100 * mark:.1f}%"></u>'
    fill = f'<i{kind} style="left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%"></i>'
    return f'<td style="width:40%"><div class="bar">{fill}{line}</div></td>'


def _curve(prediction: Prediction) -> str:
    figure = Figure(figsize=(11, 2.5), facecolor="white")
    axes = figure.add_axes((0.05, 0.11, 0.94, 0.78))
    draw_curve(axes, prediction.lesion.trace)
    axes.set_title("", loc="left")  # the page has a heading
    axes.legend(fontsize=8, frameon=False, ncols=8, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2)
    drawn = io.StringIO()
    FigureCanvasAgg(figure)
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    return text[text.index("<svg") :]


def _strip(caption: str, strip: Strip) -> str:
    cells = "".join(
        f'<figure><img alt="" src="{_png(picture)}"><figcaption>{escape(title)}</figcaption></figure>'
        for picture, title in zip(strip.pictures, strip.titles, strict=True)
    )
    return f'<h2>{escape(caption)}</h2><div class="strip">{cells}</div>'


def _png(picture: U8) -> str:
    """A data URI."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(content, format="PNG", compress_level=4)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
