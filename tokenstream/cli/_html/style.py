"""The style sheet of the page, for light and dark, narrow and wide."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --back: #ffffff; --raised: #f5f6f8; --line: #d9dde3; --text: #1c2127; --soft: #5b6673;
  --content: #2563c9; --other: #8a63c7; --heartbeat: #1f8a5b; --nothing: #a3acb8;
  --gap: #f3e3b3; --stall: #f4b9ad; --broken: #c0341d; --good: #1f7a4d; --warn: #9a5b00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #14171b; --raised: #1d2127; --line: #343b45; --text: #e4e8ed; --soft: #9aa6b4;
    --content: #6ea3f7; --other: #b795ef; --heartbeat: #4cc38a; --nothing: #6b7683;
    --gap: #453a17; --stall: #6a2c20; --broken: #ff7a63; --good: #5fd09a; --warn: #f0b35a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem clamp(0.9rem, 3vw, 2rem) 3rem; max-width: 76rem;
  background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: anywhere;
}
h1 { font-size: clamp(1.35rem, 4vw, 1.9rem); line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 0.7rem; padding-top: 0.5rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2rem 0 0.4rem; }
p { margin: 0.5rem 0; max-width: 52rem; }
code, pre, .mono {
  font: 0.86rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
pre {
  margin: 0.4rem 0; padding: 0.7rem 0.9rem; background: var(--raised); border-radius: 6px;
  white-space: pre-wrap; tab-size: 4; unicode-bidi: plaintext;
}
.ending {
  padding: 0.1em 0.55em; border-radius: 0.4em; border: 2px solid currentColor; font-size: 0.75em;
  white-space: nowrap;
}
.complete { color: var(--good); }
.truncated, .failed { color: var(--broken); }
.stopped, .streaming { color: var(--warn); }
.facts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 0.7rem 1.4rem;
  margin: 0 0 1rem;
}
.facts div { min-width: 0; }
.facts .wide { grid-column: span 2; }
.facts dt { color: var(--soft); font-size: 0.82rem; }
.facts dd { margin: 0; }
.note {
  background: var(--raised); border-left: 4px solid var(--soft); padding: 0.6rem 0.9rem;
  border-radius: 0 6px 6px 0; margin: 1rem 0; max-width: none; font-size: 0.92rem;
}
.note p { max-width: none; }
.error { border-left-color: var(--broken); font-size: 1rem; }
.error h2 { border: 0; margin: 0 0 0.4rem; padding: 0; color: var(--broken); }
.none, .soft, small { color: var(--soft); }
.frame { background: var(--raised); border-radius: 6px; padding: 10px 0 8px; margin-top: 0.8rem; }
.timeline { display: block; width: 100%; height: 150px; }
.bar.content { fill: var(--content); } .bar.other { fill: var(--other); }
.bar.heartbeat { fill: var(--heartbeat); } .bar.nothing { fill: var(--nothing); }
.gap { fill: var(--gap); } .stall { fill: var(--stall); } .broken { fill: var(--broken); }
.scale {
  display: flex; justify-content: space-between; color: var(--soft); font-size: 0.8rem;
  margin-top: 0.25rem; font-variant-numeric: tabular-nums;
}
.legend {
  display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; list-style: none; padding: 0; margin: 0.6rem 0;
  font-size: 0.88rem;
}
.swatch { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 2px; margin-right: 0.45em; }
i.content { background: var(--content); } i.other { background: var(--other); }
i.heartbeat { background: var(--heartbeat); } i.nothing { background: var(--nothing); }
i.gap { background: var(--gap); border: 1px solid var(--soft); }
i.stall { background: var(--stall); border: 1px solid var(--soft); }
.bar.error { fill: var(--broken); } i.error { background: var(--broken); }
i.broken { background: var(--broken); }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th { text-align: left; white-space: nowrap; color: var(--soft); font-weight: 500; font-size: 0.82rem; }
th, td { padding: 0.32rem 0.9rem 0.32rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
ol { margin: 0.3rem 0 1rem; padding-left: 1.4rem; font-size: 0.92rem; }
.note tr:last-child td { border-bottom: 0; }
.label { color: var(--soft); white-space: nowrap; }
.events td:last-child, .pairs td:last-child { width: 100%; }
.events td:last-child { padding-left: 1.1em; }
.events td:nth-child(3) { white-space: nowrap; }
.events tr.content td:nth-child(3) { color: var(--content); }
.events tr.other td:nth-child(3) { color: var(--other); }
.events tr.heartbeat td:nth-child(3) { color: var(--heartbeat); }
.events tr.failure td { color: var(--broken); }
.events tr.left-out td {
  text-align: center; color: var(--soft); padding: 0.8rem; background: var(--raised);
}
summary { cursor: pointer; margin-left: -1.1em; padding-left: 1.1em; text-indent: -1.1em; }
summary::marker { color: var(--soft); }
@media (max-width: 44rem) {
  .events thead { display: none; }
  .events tr {
    display: flex; flex-wrap: wrap; gap: 0 0.8rem; padding: 0.4rem 0;
    border-bottom: 1px solid var(--line);
  }
  .events td { border: 0; padding: 0; }
  .events td:last-child { flex: 1 0 100%; width: auto; min-width: 0; }
  .events td.part:not(:empty)::before { content: "part "; color: var(--soft); }
  .pairs tr, .pairs td { display: block; padding: 0; border: 0; }
  .pairs tr { padding: 0.35rem 0; border-bottom: 1px solid var(--line); }
  .rules td, .rules th { display: block; border: 0; padding: 0; }
  .rules thead { display: none; }
  .rules tr { display: block; padding: 0.5rem 0; border-bottom: 1px solid var(--line); }
}
@media print { .frame, pre, .note { print-color-adjust: exact; } }
"""
"""The style sheet, which asks for nothing from elsewhere."""
