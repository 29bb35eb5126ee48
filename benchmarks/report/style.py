"""How the page looks, in light and in dark."""

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --page: #fcfcfb; --panel: #f3f2ee; --ink: #1a1a19; --soft: #5b5a55; --faint: #dedcd4;
  --ours: #2a78d6; --peer: #96948c; --ideal: #1b9e6e; --design: #cbc8bc;
  --c0: #2a78d6; --c1: #8a4fc9; --c2: #7d7b74; --c3: #cf5c1f; --c4: #1b9e6e;
  --c5: #d1318b; --c6: #12909f; --c7: #8a5a2b; --c8: #a08a00; --c9: #c22f2f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #1a1a19; --panel: #262624; --ink: #f3f2ee; --soft: #b3b1a8; --faint: #3d3c38;
    --ours: #4a94e8; --peer: #85837b; --ideal: #2fb585; --design: #55534d;
    --c0: #4a94e8; --c1: #b48be6; --c2: #a09e95; --c3: #ee8550; --c4: #2fb585;
    --c5: #ec6fb4; --c6: #3cc0cf; --c7: #c2925f; --c8: #d3bc34; --c9: #f07070;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem;
  background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
h2 {
  font-size: 1.3rem; margin: 3rem 0 .3rem; padding-top: .8rem;
  border-top: 1px solid var(--faint);
}
h3 { font-size: 1rem; margin: 1.8rem 0 .4rem; }
p { max-width: 48rem; margin: .3rem 0 .8rem; }
.soft, figcaption, summary { color: var(--soft); }
nav a { margin-right: .9rem; white-space: nowrap; }
a { color: var(--ours); }
figure { margin: 0; }
svg { display: block; width: 100%; max-width: 860px; height: auto; overflow: visible; }
.plot { overflow-x: auto; }
.plot > .broad > svg { min-width: 36rem; }
.plot > .narrow { display: none; }
.run { margin: 1.4rem 0 .2rem; font-weight: 600; }
.plot + .wide { margin-top: .5rem; }
svg text { font-size: 12.5px; fill: var(--ink); }
svg .tick { font-size: 11.5px; fill: var(--soft); }
svg .middle { text-anchor: middle; }
svg .end { text-anchor: end; }
svg .value { font-variant-numeric: tabular-nums; }
svg .label, svg .value {
  paint-order: stroke; stroke: var(--page); stroke-width: 5px; stroke-linejoin: round;
}
svg .label.ours { font-weight: 600; }
.grid { stroke: var(--faint); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; }
.whisker { stroke: var(--ink); stroke-width: 1.2; opacity: .75; }
.mark { stroke: var(--c3); stroke-width: 1.5; stroke-dasharray: 5 4; }
.bar.ours { fill: var(--ours); }
.bar.peer { fill: var(--peer); }
.bar.ideal { fill: var(--ideal); }
.bar.design { fill: var(--design); }
.line { stroke-width: 2.2; fill: none; }
.line.thin { stroke-width: 1.2; opacity: .7; }
.line.c0 { stroke: var(--c0); }
.line.c1 { stroke: var(--c1); }
.line.c2 { stroke: var(--c2); }
.line.c3 { stroke: var(--c3); }
.line.c4 { stroke: var(--c4); }
.line.c5 { stroke: var(--c5); }
.line.c6 { stroke: var(--c6); }
.line.c7 { stroke: var(--c7); }
.line.c8 { stroke: var(--c8); }
.line.c9 { stroke: var(--c9); }
circle.c0 { fill: var(--c0); }
circle.c1 { fill: var(--c1); }
circle.c2 { fill: var(--c2); }
circle.c3 { fill: var(--c3); }
circle.c4 { fill: var(--c4); }
circle.c5 { fill: var(--c5); }
circle.c6 { fill: var(--c6); }
circle.c7 { fill: var(--c7); }
circle.c8 { fill: var(--c8); }
circle.c9 { fill: var(--c9); }
.d1 { stroke-dasharray: 7 4; }
.d2 { stroke-dasharray: 2 4; }
.d3 { stroke-dasharray: 9 3 2 3; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .3rem 0; font-size: .85rem; }
.legend svg { display: inline-block; width: 28px; height: 12px; margin-right: .35rem; }
.legend span { white-space: nowrap; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .7rem .22rem 0; text-align: right; vertical-align: top; }
th { font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--faint); }
td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.facts td { text-align: left; white-space: normal; max-width: 26rem; overflow-wrap: anywhere; }
.facts td:first-child { white-space: nowrap; overflow-wrap: normal; }
.facts th { text-align: left; }
.overview td { white-space: normal; min-width: 9rem; }
.overview td:first-child { min-width: 0; }
.overview td:nth-child(2) { text-align: left; }
.overview th:nth-child(2) { text-align: left; }
tr + tr td { border-top: 1px solid var(--faint); }
td.group { font-weight: 600; }
details { margin: .3rem 0 .6rem; }
summary { cursor: pointer; font-size: .85rem; }
@media (max-width: 40rem) {
  body { padding: 1.25rem 1rem 3rem; }
  .plot > .broad { display: none; }
  .plot > .narrow { display: block; }
  table { font-size: .78rem; }
  th, td { padding-right: .45rem; }
  td:first-child { white-space: normal; }
  .overview, .overview tbody, .overview tr, .overview td { display: block; }
  .overview thead { display: none; }
  .overview tr { border-top: 1px solid var(--faint); padding: .35rem 0; }
  .overview tr td { border: 0; padding: 0; text-align: left; }
  .overview td:nth-child(2) { font-weight: 600; }
  .overview td:nth-child(n + 3)::before { content: attr(data-of) ": "; color: var(--soft); }
}
@media print { details > * { display: block; } }
"""
