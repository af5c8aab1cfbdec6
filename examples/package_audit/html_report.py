"""The audit's rows as one HTML page: a chart as inline SVG, a table, no script, nothing loaded from elsewhere."""

import html
import platform
import time

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6a7c; --line: #e2e7ee; --paper: #fbfcfd; --card: #ffffff;
        --size: #4c6fff; --time: #f08c3a; --bad: #c0392b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf2; --soft: #93a0b4; --line: #2a3342; --paper: #12161d; --card: #1a202a; --size: #7d97ff;
          --time: #f5a662; --bad: #ff7b6b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 48px 24px 80px; }
h1 { font-size: 30px; margin: 0 0 4px; letter-spacing: -0.02em; }
h2 { font-size: 18px; margin: 40px 0 12px; }
.soft { color: var(--soft); }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 28px 0 8px; }
.card { flex: 1 1 150px; background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 18px; }
.card b { display: block; font-size: 24px; font-variant-numeric: tabular-nums; letter-spacing: -0.02em; }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 16px; overflow-x: auto; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .value { fill: var(--soft); }
svg .size { fill: var(--size); } svg .time { fill: var(--time); } svg .grid { stroke: var(--line); }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 12px; text-transform: uppercase; letter-spacing: .04em; }
th, td { padding: 7px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
td.problem { color: var(--bad); font-size: 13px; }
"""

BARS = 15
LEFT, RIGHT, ROW = 190, 100, 24


def render(rows):
    """The page."""
    rows = sorted(rows, key=lambda row: (-row["bytes"], row["name"].casefold()))
    timed = sorted((r for r in rows if r["import_s"] is not None), key=lambda row: -row["import_s"])
    problems = [row for row in rows if row["problem"]]
    when = time.strftime("%Y-%m-%d %H:%M:%S %z")
    cards = "".join(
        f'<div class="card"><b>{html.escape(value)}</b><span class="soft">{html.escape(label)}</span></div>'
        for value, label in [
            (str(len(rows)), "distributions"),
            (size_text(sum(row["bytes"] for row in rows)), "on disk"),
            (f"{sum(row['files'] for row in rows):,}", "files"),
            (seconds_text(sum(row["import_s"] for row in timed)), "to import, one by one"),
            (str(len(problems)), "could not be measured whole"),
        ]
    )
    largest = bars([(r["name"], r["bytes"], size_text(r["bytes"])) for r in rows[:BARS]], "size")
    slowest = bars([(r["name"], r["import_s"], seconds_text(r["import_s"])) for r in timed[:BARS]], "time")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Package audit</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>Package audit</h1>
<p class="soft">Python {html.escape(platform.python_version())} on {html.escape(platform.node() or "this machine")}, {when}</p>
<div class="cards">{cards}</div>
<h2>Largest on disk</h2>
<div class="panel">{largest}</div>
<h2>Slowest to import</h2>
<div class="panel">{slowest}</div>
<h2>All distributions</h2>
<div class="panel">{table(rows)}</div>
</main>
</body>
</html>
"""


def bars(entries, kind):
    """A bar chart as SVG: one labelled bar for each (name, number, text)."""
    if not entries:
        return '<p class="soft">Nothing was measured.</p>'
    width, most = 1000, max(number for _, number, _ in entries) or 1
    room = width - LEFT - RIGHT
    height = ROW * len(entries) + 8
    size = f'viewBox="0 0 {width} {height}" width="100%"'
    parts = [f'<svg {size} role="img" aria-label="Bar chart" xmlns="http://www.w3.org/2000/svg">']
    for quarter in range(5):
        x = LEFT + room * quarter / 4
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}"/>')
    for i, (name, number, text) in enumerate(entries):
        y, long = i * ROW + 4, max(2.0, room * number / most)
        shown = html.escape(name if len(name) <= 26 else name[:25] + "…")
        parts.append(
            f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">{shown}</text>'
            f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{long:.1f}" height="{ROW - 6}" rx="4">'
            f"<title>{html.escape(name)}: {html.escape(text)}</title></rect>"
            f'<text class="value" x="{LEFT + long + 8:.1f}" y="{y + 15}">{html.escape(text)}</text>'
        )
    parts.append("</svg>")
    return "".join(parts)


def table(rows):
    """All rows."""
    head = (
        '<tr><th>Name</th><th>Version</th><th>Licence</th><th class="number">Files</th><th class="number">Size</th>'
        '<th class="number">Import</th></tr>'
    )
    body = []
    for row in rows:
        last = (
            f'<td class="problem">{html.escape(row["problem"])}</td>'
            if row["problem"]
            else f'<td class="number">{seconds_text(row["import_s"])}</td>'
        )
        body.append(
            f"<tr><td>{html.escape(row['name'])}</td><td>{html.escape(row['version'])}</td>"
            f'<td>{html.escape(row["licence"])}</td><td class="number">{row["files"]:,}</td>'
            f'<td class="number">{size_text(row["bytes"])}</td>{last}</tr>'
        )
    return f"<table>{head}{''.join(body)}</table>"


def size_text(number):
    """Bytes in a readable unit."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.2f} GB"


def seconds_text(seconds):
    """Seconds in a readable unit."""
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
