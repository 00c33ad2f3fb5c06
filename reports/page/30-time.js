// ---- The time ribbon: faults, operations and every claim's window over one axis; a slider for the page's instant ----
function momentWords(m) {
  const name = m.do || m.as || m.kind;
  return [name, m.as && m.as !== name ? `“${m.as}”` : '', m.on ? 'on ' + m.on : '', m.says && m.says !== name ? m.says : '', isNum(m.count) ? `${num(m.count)} ×` : ''].filter(Boolean).join(' · ');
}

const ICONS = {held: '✓', failed: '✕', undecided: '?'};
const verdictClass = v => v === 'held' ? 'held' : v === 'failed' ? 'failed' : 'undecided';

function endOf(result, series) {
  let end = isNum(result.sim_seconds) ? result.sim_seconds * 1000 : isNum(result.duration_ms) ? result.duration_ms : 0;
  for (const m of list(result.moments)) end = Math.max(end, m.from_ms, isNum(m.to_ms) ? m.to_ms : 0);
  if (!end) for (const v of list(series && series.series)) end = Math.max(end, (v.from_ms || 0) + v.step_ms * v.values.length);
  return end || 1000;
}

// Lays spans into as few lanes as keep them apart.
function lanes(items, room) {
  const ends = [];
  for (const i of items) {
    let k = ends.findIndex(e => e <= i.left);
    if (k < 0) k = ends.push(0) - 1;
    ends[k] = i.right + room;
    i.lane = k;
  }
  return ends.length;
}

function ribbon(result, series, end) {
  const W = 1160, L = 310, R = 30, x = t => L + (W - L - R) * Math.min(1, Math.max(0, t / end));
  const claims = list(result.claims), curves = new Map(list(series && series.claims).map(v => [v.claim, v]));
  const moments = list(result.moments), faults = moments.filter(m => m.kind === 'fault'), ops = moments.filter(m => m.kind !== 'fault');
  const node = s('svg', {class: 'chart timed ribbon', tabindex: 0, role: 'slider', 'aria-label': 'Instant of the run', 'aria-valuemin': 0, 'aria-valuemax': Math.round(end), 'aria-valuenow': 0, 'aria-valuetext': 'no instant chosen'});
  const shade = s('g', {}), top = s('g', {}), body = s('g', {});
  node.append(shade, top, body);
  let y = 26;
  const label = (text, at, css) => body.append(s('text', {class: css || 'lane-name', x: L - 14, y: at, 'text-anchor': 'end'}, text.length > 43 ? text.slice(0, 42) + '…' : text, s('title', {}, text)));

  const bars = faults.map(m => ({m, left: x(m.from_ms), right: Math.max(x(isNum(m.to_ms) ? m.to_ms : end), x(m.from_ms) + 9 * Math.min(24, (m.as || m.do || '').length))})).sort((a, b) => a.left - b.left);
  if (bars.length) {
    const n = Math.min(lanes(bars, 8), 6);
    label('faults', y + 12);
    for (const b of bars) {
      const at = y + (b.lane % 6) * 22, to = x(isNum(b.m.to_ms) ? b.m.to_ms : end), words = () => [momentWords(b.m), `${clock(b.m.from_ms)} – ${isNum(b.m.to_ms) ? clock(b.m.to_ms) : 'end'}`];
      body.append(hover(s('rect', {class: 'fault-bar', x: b.left, y: at, width: Math.max(4, to - b.left), height: 18, rx: 4}), words));
      const inside = to - b.left > 60;
      body.append(s('text', {class: inside ? 'on-bar' : 'off-bar', x: b.left + (inside ? 7 : Math.max(4, to - b.left) + 4), y: at + 13}, b.m.do + (b.m.as ? ` “${b.m.as}”` : '')));
    }
    y += n * 22 + 8;
  }
  const marks = ops.map(m => ({m, left: x(m.from_ms), right: x(isNum(m.to_ms) ? m.to_ms : m.from_ms) })).sort((a, b) => a.left - b.left);
  for (const k of marks) {
    // A label stands right of its dot, or left of it near the right edge.
    const room = 12 + 6.2 * (k.m.as || k.m.do || '').length;
    k.dot = k.left;
    k.flip = k.left > W - 110;
    if (k.flip) k.left -= room; else k.right = Math.max(k.right, k.left + room);
  }
  marks.sort((a, b) => a.left - b.left);
  if (marks.length) {
    const n = Math.min(lanes(marks, 8), 14);
    label('operations', y + 12);
    for (const k of marks) {
      const at = y + (k.lane % 14) * 18 + 8, to = isNum(k.m.to_ms) ? x(k.m.to_ms) : k.dot, css = k.m.kind === 'moment' ? 'moment' : k.m.kind === 'lives' ? 'lives' : 'operation';
      const words = () => [momentWords(k.m), clock(k.m.from_ms) + (isNum(k.m.to_ms) ? ' – ' + clock(k.m.to_ms) : '')];
      if (to > k.dot + 1) body.append(hover(s('path', {class: 'span ' + css, d: `M${k.dot} ${at}H${to}`}), words));
      body.append(hover(css === 'moment' ? s('path', {class: 'tick ' + css, d: `M${k.dot} ${at - 5}l5 5l-5 5l-5-5z`}) : s('circle', {class: 'tick ' + css, cx: k.dot, cy: at, r: 4}), words),
        s('text', {class: 'off-bar', x: k.dot + (k.flip ? -8 : 8), y: at + (to > k.dot + 1 ? -3 : 4), 'text-anchor': k.flip ? 'end' : null}, k.m.as || k.m.do || ''));
    }
    y += n * 18 + 10;
  }
  const row = claims.length > 30 ? 18 : 42;
  claims.forEach((c, i) => {
    const v = verdictClass(c.verdict), w = c.window || {}, a = x(isNum(w.from_ms) ? w.from_ms : 0), b = x(isNum(w.to_ms) ? w.to_ms : end), curve = row > 20 ? curves.get(i) : null;
    label(c.says, y + 13, 'lane-name claim-name ' + v);
    const bracket = hover(s('path', {class: 'bracket ' + v, d: `M${a} ${y + 14}V${y + 8}H${Math.max(a + 2, b)}V${y + 14}`}), () => [c.says, `${c.verdict}: ${c.observed || ''}`, c.expected ? 'expected ' + c.expected : '', windowWords(c)]);
    body.append(bracket);
    if (isNum(c.at)) body.append(s('text', {class: 'decided ' + v, x: x(c.at) + 5, y: y + 14}, ICONS[v]));
    if (curve && curve.values.length) {
      const bounds = list(c.bounds).filter(q => isNum(q.bound) && (!curve.stat || !q.stat || q.stat === curve.stat)).map(q => q.bound).slice(0, 2);
      const hi = Math.max(...curve.values.filter(isNum), ...bounds, 1e-9) * 1.1, lo = Math.min(0, ...curve.values.filter(isNum)), top = y + 17, size = row - 20, yy = q => top + size - size * (q - lo) / (hi - lo);
      let d = '', pen = false;
      curve.values.forEach((q, k) => {
        if (!isNum(q)) { pen = false; return; }
        d += `${pen ? 'L' : 'M'}${x((curve.from_ms || 0) + (k + .5) * curve.step_ms).toFixed(1)} ${yy(q).toFixed(1)}${isNum(curve.values[k - 1]) || isNum(curve.values[k + 1]) ? '' : 'h.01'}`;
        pen = true;
      });
      for (const q of bounds) body.append(s('line', {class: 'bound', x1: a, x2: b, y1: yy(q), y2: yy(q)}));
      body.append(s('path', {class: 'spark ' + v, d}));
    }
    y += row;
  });
  const H = y + 26;
  for (const m of faults) shade.append(s('rect', {class: 'fault', x: x(m.from_ms), y: 18, width: Math.max(1, x(isNum(m.to_ms) ? m.to_ms : end) - x(m.from_ms)), height: H - 44}));
  for (const t of timeTicks(0, end, 12)) top.append(s('line', {class: 'grid', x1: x(t), x2: x(t), y1: 18, y2: H - 26}), s('text', {x: x(t), y: 12, 'text-anchor': 'middle'}, clock(t)), s('text', {x: x(t), y: H - 10, 'text-anchor': 'middle'}, clock(t)));
  node.setAttribute('viewBox', `0 0 ${W} ${H}`);
  const cross = s('line', {class: 'cross', y1: 18, y2: H - 26, visibility: 'hidden'}), marker = s('line', {class: 'marker', y1: 16, y2: H - 26, visibility: 'hidden'}), knob = s('path', {class: 'knob', d: 'M-6 0H6V6L0 13L-6 6Z', visibility: 'hidden'});
  node.append(cross, marker, knob);
  const timeOf = e => { const box = node.getBoundingClientRect(); return Math.max(0, Math.min(end, ((e.clientX - box.left) * W / box.width - L) / (W - L - R) * end)); };
  let dragging = false;
  node.addEventListener('pointerdown', e => { dragging = true; node.setPointerCapture(e.pointerId); instant.set(timeOf(e)); });
  node.addEventListener('pointerup', () => { dragging = false; });
  node.addEventListener('pointermove', e => { const t = timeOf(e); if (dragging) instant.set(t); cross.setAttribute('x1', x(t)); cross.setAttribute('x2', x(t)); cross.setAttribute('visibility', 'visible'); });
  node.addEventListener('pointerleave', () => cross.setAttribute('visibility', 'hidden'));
  node.addEventListener('keydown', e => {
    const t = instant.t ?? 0, by = {ArrowLeft: -.01, ArrowDown: -.01, ArrowRight: .01, ArrowUp: .01, PageUp: .1, PageDown: -.1}[e.key];
    if (by) instant.set(Math.max(0, Math.min(end, t + by * end)));
    else if (e.key === 'Home') instant.set(0);
    else if (e.key === 'End') instant.set(end);
    else if (e.key === 'Escape') instant.set(null);
    else return;
    e.preventDefault();
  });
  instant.listeners.push(t => {
    for (const m of [marker, knob]) m.setAttribute('visibility', t === null ? 'hidden' : 'visible');
    node.setAttribute('aria-valuetext', t === null ? 'no instant chosen' : clock(t));
    if (t === null) return;
    node.setAttribute('aria-valuenow', Math.round(t));
    marker.setAttribute('x1', x(t)); marker.setAttribute('x2', x(t));
    knob.setAttribute('transform', `translate(${x(t)} 4)`);
  });
  return node;
}
