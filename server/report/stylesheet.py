"""The report's look: one column of text, wide tables that scroll by themselves, figures that wrap."""

from __future__ import annotations

CSS = """
:root { --ink: #1f2933; --soft: #52606d; --line: #d9dee4; --wash: #f5f7fa; --accent: #0b3c6f; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; -webkit-text-size-adjust: 100%; }
main, header, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.3rem; margin: 2.75rem 0 .6rem;
  padding-bottom: .3rem; border-bottom: 2px solid var(--accent); }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
p { margin: .5rem 0; max-width: 48rem; }
.lead { font-size: 1.15rem; }
.note { color: var(--soft); font-size: .9rem; }
.warning { border: 1px solid #d55e00; border-left-width: 6px; background: #fff7f0; padding: .6rem .9rem;
  border-radius: 4px; max-width: none; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: 1rem 0 0; font-size: .92rem; }
a { color: var(--accent); }
nav a { padding: .15rem 0; }
.table { overflow-x: auto; margin: .8rem 0 1.2rem; }
table { border-collapse: separate; border-spacing: 0; font-size: .9rem; font-variant-numeric: tabular-nums;
  min-width: min(100%, 30rem); }
caption { text-align: left; color: var(--soft); padding: 0 0 .4rem; caption-side: top; }
th, td { padding: .34rem .7rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top;
  white-space: nowrap; }
th:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
/* a line of its own: the border of a sticky cell is lost to rounding where its table scrolls */
tbody th:first-child { border-bottom: 0; box-shadow: inset 0 -1px var(--line); }
thead th { border-bottom: 2px solid var(--ink); font-weight: 600; vertical-align: bottom; }
thead th:first-child { border-bottom: 0; padding-bottom: calc(.34rem + 2px); box-shadow: inset 0 -2px var(--ink); }
tbody th { font-weight: 500; }
.prose th, .digest th { text-align: left; }
.wrapped th { white-space: normal; min-width: 4.5rem; }
.prose td { text-align: left; white-space: normal; }
.prose td:nth-child(4) { min-width: 9rem; }
.best { font-weight: 700; }
small { display: block; color: var(--soft); font-size: .8em; font-weight: 400; }
.study { color: var(--soft); background: var(--wash); }
code { font: .85em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.digest td { white-space: normal; text-align: left; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr));
  gap: 1rem 1.5rem; align-items: start; }
.grid.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 14.5rem), 1fr)); }
.grid.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); }
.grid table { min-width: 0; width: 100%; }
.grid .table { margin: .4rem 0; }
.grid th, .grid td { padding: .3rem .4rem; }
.grid thead th { white-space: normal; }
figure { margin: .4rem 0; }
figure svg { display: block; width: 100%; height: auto; max-width: 32rem; }
.wide figure svg { max-width: 40rem; }
figcaption { color: var(--soft); font-size: .85rem; }
details { margin: .6rem 0; }
summary { cursor: pointer; color: var(--accent); }
footer { margin-top: 3rem; padding-top: 1rem; padding-bottom: 2rem; border-top: 1px solid var(--line);
  color: var(--soft); font-size: .88rem; }
@media (max-width: 40rem) {
  body { font-size: 15px; }
  main, header, footer { padding-left: .9rem; padding-right: .9rem; }
  th, td { padding: .3rem .45rem; }
  table { font-size: .84rem; }
  #headline small, #headline thead th { white-space: normal; }
}
@media print { nav { display: none; } section { break-inside: auto; } figure { break-inside: avoid; } }
"""
