"""The demo's report: one HTML file that works offline."""

import html
from collections import Counter
from pathlib import Path

import numpy as np

from hil.report import machine
from launch.demo import Demo
from runtime.gate.reasons import REASONS, Reason
from runtime.gate.verdict import Verdict

_COLOURS = ("#d1495b", "#edae49", "#66a182", "#2e4057", "#8d96a3", "#00798c", "#9b5de5")
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0}td,th{padding:.25rem .8rem;border-bottom:1px solid #ddd;text-align:left}
figure{display:inline-block;margin:.3rem}figcaption{font-size:.8rem;color:#666}img{width:230px;border-radius:4px}
.ok{color:#1a7f37}.bad{color:#c0392b}.note{background:#fff6dd;padding:.6rem 1rem;border-left:4px solid #edae49}
svg{background:#fafafa;border:1px solid #eee}
"""


def write_report(demo: Demo, directory: Path, log: list[str]) -> Path:
    """Write `index.html` into the directory; returns its path."""
    directory.mkdir(parents=True, exist_ok=True)
    good = sum(one.success for one in demo.episodes)
    rows = np.array(demo.rows) if demo.rows else np.zeros(0)
    parts = [
        f"<h1>Sinew demo: {good} of {len(demo.episodes)} placed</h1>",
        "<p class=note><b>Emulated.</b> The robot, its physics and the cameras are Sinew's emulated cell; drivers, loop and "
        "gate are the ones that run on a robot. The source of motion is <b>scripted</b> and is told the objects' poses by "
        "the scene: no policy looks at the cameras here.</p>",
        _episodes(demo),
        "<h2>Joint commands</h2>",
        _joint_plot(rows),
        "<h2>What the gate said</h2>",
        _verdicts(rows),
        "<h2>Loop</h2>",
        _loop(rows, demo.lost_ticks, 1e3 / demo.cell.loop.rate_hz),
        "<h2>Machine</h2><table>",
        *(
            f"<tr><td>{html.escape(key)}</td><td>{html.escape(str(value))}</td></tr>"
            for key, value in machine().items()
        ),
        "</table><h2>Messages</h2><pre>",
        *(html.escape(line) + "\n" for line in log),
        "</pre>",
    ]
    path = directory / "index.html"
    text = "".join(parts)
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Sinew demo</title><style>{_STYLE}</style>{text}</html>'
    )
    return path


def _episodes(demo: Demo) -> str:
    parts = ["<h2>Episodes</h2><table><tr><th>#<th>seed<th>result<th>robot time<th>what happened</tr>"]
    for one in demo.episodes:
        mark = "<span class=ok>placed</span>" if one.success else "<span class=bad>not placed</span>"
        parts.append(
            f"<tr><td>{one.number + 1}<td>{one.seed}<td>{mark}<td>{one.seconds:.1f} s<td>{html.escape(one.text)}</tr>"
        )
    parts.append("</table>")
    for one in demo.episodes:
        parts.append(f"<h3>Episode {one.number + 1}</h3>")
        for phase, camera, image in one.pictures:
            parts.append(
                f'<figure><img alt="{phase}, {camera}" src="data:image/png;base64,{image}">'
                f"<figcaption>{phase}, camera {html.escape(camera)}</figcaption></figure>"
            )
    return "".join(parts)


def _joint_plot(rows: np.ndarray) -> str:
    sent = rows[rows["sent"] > 0] if len(rows) else rows
    if len(sent) < 2:
        return "<p>No command was sent.</p>"
    width, height, pad = 960, 300, 30
    t = (sent["now_ns"] - sent["now_ns"][0]) * 1e-9
    step = max(1, len(sent) // 1500)
    q = sent["q"]
    low, high = float(q.min()), float(q.max())
    xs = pad + t[::step] / max(t[-1], 1e-9) * (width - 2 * pad)
    lines = []
    for joint in range(q.shape[1]):
        ys = height - pad - (q[::step, joint] - low) / max(high - low, 1e-9) * (height - 2 * pad)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        lines.append(f'<polyline fill="none" stroke="{_COLOURS[joint]}" stroke-width="1.3" points="{points}"/>')
        lines.append(
            f'<text x="{width - pad + 4}" y="{ys[-1]:.0f}" font-size="11" fill="{_COLOURS[joint]}">{joint + 1}</text>'
        )
    axis = f'<text x="{pad}" y="{height - 8}" font-size="11">0 s</text>'
    axis += f'<text x="{width - 2 * pad}" y="{height - 8}" font-size="11">{t[-1]:.0f} s</text>'
    axis += f'<text x="2" y="{pad}" font-size="11">{high:.1f}</text>'
    axis += f'<text x="2" y="{height - pad}" font-size="11">{low:.1f} rad</text>'
    return f'<svg viewBox="0 0 {width} {height}" width="100%">{"".join(lines)}{axis}</svg>'


def _verdicts(rows: np.ndarray) -> str:
    judged = rows[rows["judged"] > 0] if len(rows) else rows
    if not len(judged):
        return "<p>The gate was not asked.</p>"
    counts = Counter(int(one) for one in judged["verdict"])
    parts = ["<table><tr><th>verdict<th>ticks<th>share</tr>"]
    for verdict in Verdict:
        count = counts.get(int(verdict), 0)
        parts.append(f"<tr><td>{verdict.name}<td>{count}<td>{count / len(judged):.2%}</tr>")
    parts.append("</table>")
    reasons = Counter(int(one["reason"]) for one in judged if one["verdict"])
    if reasons:
        parts.append("<table><tr><th>reason<th>ticks<th>meaning</tr>")
        for number, count in reasons.most_common():
            reason = Reason(number)
            parts.append(f"<tr><td>{reason.name}<td>{count}<td>{html.escape(REASONS[reason].text)}</tr>")
        parts.append("</table>")
    return "".join(parts)


def _loop(rows: np.ndarray, lost: int, period_ms: float) -> str:
    if len(rows) < 3:
        return "<p>No ticks were seen.</p>"
    gaps = np.diff(rows["now_ns"]) * 1e-6
    late = np.abs(gaps - period_ms)
    edges = [0, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 1e9]
    counts, _ = np.histogram(late, edges)
    parts = [
        f"<p>{len(rows)} ticks recorded, {lost} overwritten before they were read; nominal period {period_ms:g} ms.</p>"
    ]
    parts.append("<table><tr><th>off the period by<th>ticks<th></tr>")
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        name = f"{low:g} to {high:g} ms" if high < 1e8 else f"over {low:g} ms"
        bar = f'<div style="background:#66a182;height:.8rem;width:{300 * count / max(1, counts.max()):.0f}px"></div>'
        parts.append(f"<tr><td>{name}<td>{count}<td>{bar}</tr>")
    return "".join(parts) + "</table>"
