// ---- Charts: each returns {node, legend}; those with a time axis follow the page's instant and set it when clicked ----
const FRAME = {w: 600, h: 250, l: 52, r: 14, t: 12, b: 30};

function axes(f, x, y, xTicks, yTicks, xWords, yWords, yName) {
  const g = s('g', {class: 'axes'});
  for (const v of yTicks) g.append(s('line', {class: 'grid', x1: f.l, x2: f.w - f.r, y1: y(v), y2: y(v)}), s('text', {x: f.l - 7, y: y(v) + 3.5, 'text-anchor': 'end'}, yWords(v)));
  let last = -1e9;
  for (const v of xTicks) {
    const px = x(v);
    g.append(s('line', {class: 'tick', x1: px, x2: px, y1: f.h - f.b, y2: f.h - f.b + 4}));
    if (px - last > 34) { g.append(s('text', {x: px, y: f.h - f.b + 17, 'text-anchor': 'middle'}, xWords(v))); last = px; }
  }
  g.append(s('line', {class: 'base', x1: f.l, x2: f.w - f.r, y1: f.h - f.b, y2: f.h - f.b}));
  if (yName) g.append(s('text', {class: 'axis-name', x: f.l, y: f.t - 2}, yName));
  return g;
}

function legendOf(items) {
  return h('ul', {class: 'legend'}, items.map(i => i.entry = h('li', {},
    s('svg', {class: 'swatch', viewBox: '0 0 26 10', 'aria-hidden': 'true'}, i.filled ? s('rect', {x: 1, y: 1, width: 24, height: 8, rx: 2, fill: i.colour}) : s('line', {x1: 1, x2: 25, y1: 5, y2: 5, stroke: i.colour, 'stroke-width': 2.4, 'stroke-dasharray': i.dash || null})),
    i.name, i.value = h('b', {}))));
}

// series: [{name, from, step, values, colour, dash}]; all share from and step when stacked.
// `log`: a logarithmic axis of values, for lines.
function timeChart({series, faults, end, unit, stacked, bound, height, yMax, yName, log}) {
  const f = {...FRAME, h: height || FRAME.h};
  series = series.filter(v => v.values.length);
  series.forEach((v, i) => { v.colour = v.colour || PALETTE[i % 8]; v.dash = stacked ? '' : v.dash ?? DASHES[i % 8]; v.filled = stacked; });
  const steps = Math.max(...series.map(v => v.values.length), 1);
  let lows = series.map(() => new Array(steps).fill(0)), top = 0;
  if (stacked) {
    const sum = new Array(steps).fill(0);
    series.forEach((v, k) => { for (let i = 0; i < steps; ++i) { lows[k][i] = sum[i]; sum[i] += v.values[i] || 0; } });
    top = Math.max(...sum);
  } else for (const v of series) for (const y of v.values) if (isNum(y) && y > top) top = y;
  if (bound) for (const b of bound) if (isNum(b)) top = Math.max(top, b * 1.05);
  top = yMax || top * 1.06 || 1;
  let low = Infinity;
  if (log) for (const v of series) for (const q of v.values) if (isNum(q) && q > 0 && q < low) low = q;
  if (log) low = isFinite(low) ? Math.min(low * .94, top / 10) : top / 10;
  const x = t => f.l + (f.w - f.l - f.r) * t / end, y = v => f.h - f.b - (f.h - f.t - f.b) * Math.min(1, Math.max(0, log ? Math.log(Math.max(v, low) / low) / Math.log(top / low) : v / top));
  const node = s('svg', {class: 'chart timed', viewBox: `0 0 ${f.w} ${f.h}`, role: 'img'});
  for (const m of list(faults)) node.append(s('rect', {class: 'fault', x: x(m.from_ms), y: f.t, width: Math.max(1, x(Math.min(end, m.to_ms ?? end)) - x(m.from_ms)), height: f.h - f.t - f.b}, s('title', {}, momentWords(m))));
  const scale = unit === 'bytes' ? 1024 ** Math.floor(Math.log(Math.max(1, top)) / Math.log(1024)) : 1;
  node.append(axes(f, x, y, timeTicks(0, end, 7), log ? logTicks(low, top) : ticks(0, top / scale, 4).map(v => v * scale), clock, v => unit === 'ms' ? ms(v) : unit === 'ratio' ? trim(v * 100, 0) + ' %' : unit === 'bytes' ? bytes(v) : short(v), yName));
  series.forEach((v, k) => {
    if (stacked) {
      const up = [], down = [];
      for (let i = 0; i < v.values.length; ++i) {
        const px = x(v.from + (i + 0.5) * v.step).toFixed(1);
        up.push(px + ' ' + y(lows[k][i] + (v.values[i] || 0)).toFixed(1));
        down.unshift(px + ' ' + y(lows[k][i]).toFixed(1));
      }
      node.append(s('path', {class: 'area', d: 'M' + up.join('L') + 'L' + down.join('L') + 'Z', fill: v.colour}));
      return;
    }
    let d = '', pen = false;
    v.values.forEach((value, i) => {
      if (!isNum(value)) { pen = false; return; }
      const px = x(v.from + i * v.step + (v.at ?? v.step)), lone = !isNum(v.values[i - 1]) && !isNum(v.values[i + 1]);
      d += (pen ? 'L' : 'M') + px.toFixed(1) + ' ' + y(value).toFixed(1) + (lone ? 'h.01' : '');
      pen = true;
    });
    node.append(s('path', {class: 'line', d, stroke: v.colour, 'stroke-dasharray': v.dash || null}));
  });
  for (const b of list(bound)) if (isNum(b)) node.append(s('line', {class: 'bound', x1: f.l, x2: f.w - f.r, y1: y(b), y2: y(b)}));
  const cross = s('line', {class: 'cross', y1: f.t, y2: f.h - f.b, visibility: 'hidden'}), marker = s('line', {class: 'marker', y1: f.t, y2: f.h - f.b, visibility: 'hidden'});
  node.append(cross, marker);
  const at = (v, t) => v.values[Math.max(0, Math.min(v.values.length - 1, Math.floor((t - v.from) / v.step)))];
  const timeOf = e => {
    const box = node.getBoundingClientRect();
    return Math.max(0, Math.min(end, ((e.clientX - box.left) * f.w / box.width - f.l) / (f.w - f.l - f.r) * end));
  };
  node.addEventListener('pointermove', e => {
    const t = timeOf(e);
    cross.setAttribute('x1', x(t)); cross.setAttribute('x2', x(t)); cross.setAttribute('visibility', 'visible');
    showTip(e, [clock(t), ...series.slice().reverse().map(v => h('div', {class: 'tip-row'}, h('i', {style: 'background:' + v.colour}), v.name, h('b', {}, withUnit(at(v, t), unit))))]);
  });
  node.addEventListener('pointerleave', () => { cross.setAttribute('visibility', 'hidden'); hideTip(); });
  node.addEventListener('click', e => instant.set(timeOf(e)));
  const legend = legendOf(series);
  instant.listeners.push(t => {
    marker.setAttribute('visibility', t === null ? 'hidden' : 'visible');
    if (t !== null) { marker.setAttribute('x1', x(t)); marker.setAttribute('x2', x(t)); }
    for (const v of series) v.value.textContent = t === null ? '' : withUnit(at(v, t), unit);
  });
  return {node, legend, table: () => valueTable(['time', ...series.map(v => v.name)], series[0] ? series[0].values.map((_, i) => [clock(series[0].from + i * series[0].step), ...series.map(v => num(v.values[i]))]) : [])};
}

// series: [{name, quantiles: 101 numbers, count}]
function cdfChart({series, unit}) {
  const f = {...FRAME};
  series = series.filter(v => v.quantiles.length > 1);
  series.forEach((v, i) => { v.colour = PALETTE[i % 8]; v.dash = DASHES[i % 8]; });
  let lo = Math.min(...series.map(v => v.quantiles[0])), hi = Math.max(...series.map(v => v.quantiles[v.quantiles.length - 1]));
  const log = lo > 0 && hi / lo > 8;
  if (!log) lo = 0;
  hi = hi > lo ? hi : lo + 1;
  const pos = v => log ? Math.log(v / lo) / Math.log(hi / lo) : (v - lo) / (hi - lo);
  const x = v => f.l + (f.w - f.l - f.r) * pos(Math.max(lo, v)), y = p => f.h - f.b - (f.h - f.t - f.b) * p;
  const node = s('svg', {class: 'chart', viewBox: `0 0 ${f.w} ${f.h}`, role: 'img'});
  node.append(axes(f, x, y, log ? logTicks(lo, hi) : ticks(lo, hi, 6), [0, .25, .5, .75, .95, 1].filter(v => v !== 1), v => unit === 'ms' ? ms(v) : short(v), p => trim(p * 100, 0) + ' %'));
  for (const v of series) {
    const last = v.quantiles.length - 1;
    node.append(s('path', {class: 'line', d: 'M' + v.quantiles.map((q, i) => x(q).toFixed(1) + ' ' + y(i / last).toFixed(1)).join('L'), stroke: v.colour, 'stroke-dasharray': v.dash || null}));
  }
  const cross = s('line', {class: 'cross', x1: f.l, x2: f.w - f.r, visibility: 'hidden'});
  node.append(cross);
  const quantile = (v, p) => v.quantiles[Math.round(p * (v.quantiles.length - 1))];
  node.addEventListener('pointermove', e => {
    const box = node.getBoundingClientRect(), p = Math.max(0, Math.min(1, 1 - ((e.clientY - box.top) * f.h / box.height - f.t) / (f.h - f.t - f.b)));
    cross.setAttribute('y1', y(p)); cross.setAttribute('y2', y(p)); cross.setAttribute('visibility', 'visible');
    showTip(e, [`${trim(p * 100, 0)} % are at most`, ...series.map(v => h('div', {class: 'tip-row'}, h('i', {style: 'background:' + v.colour}), v.name, h('b', {}, withUnit(quantile(v, p), unit))))]);
  });
  node.addEventListener('pointerleave', () => { cross.setAttribute('visibility', 'hidden'); hideTip(); });
  const legend = legendOf(series);
  for (const v of series) v.value.textContent = 'p50 ' + withUnit(quantile(v, .5), unit);
  return {node, legend, table: () => valueTable(['', 'n', 'p5', 'p50', 'p90', 'p95', 'p99', 'max'], series.map(v => [v.name, num(v.count), ...[.05, .5, .9, .95, .99, 1].map(p => withUnit(quantile(v, p), unit))]))};
}

function barChart({counts, from, width, unit, xName, height}) {
  const f = {...FRAME, h: height || FRAME.h};
  while (counts.length > 1 && !counts[counts.length - 1]) counts = counts.slice(0, -1);
  const total = counts.reduce((a, b) => a + b, 0) || 1, top = Math.max(...counts, 1) * 1.08, n = counts.length;
  const x = i => f.l + (f.w - f.l - f.r) * i / n, y = v => f.h - f.b - (f.h - f.t - f.b) * v / top;
  const node = s('svg', {class: 'chart', viewBox: `0 0 ${f.w} ${f.h}`, role: 'img'});
  const every = [1, 2, 5, 10, 20, 25, 50, 100].find(v => n / v <= 15) || Math.ceil(n / 14), marks = [];
  for (let i = 0; i < n; i += every) marks.push(i + 0.5);
  node.append(axes(f, x, y, marks, ticks(0, top, 4), i => num(from + (i - 0.5) * width), short));
  counts.forEach((c, i) => {
    if (c) node.append(hover(s('rect', {class: 'bar', x: x(i) + (n < 80 ? 1.5 : 0.2), y: y(c), width: Math.max(0.8, (f.w - f.l - f.r) / n - (n < 80 ? 3 : 0.4)), height: f.h - f.b - y(c), rx: n < 40 ? 2.5 : 0}),
      () => [`${num(from + i * width)}${width > 1 ? '–' + num(from + (i + 1) * width - 1) : ''} ${xName || unit || ''}`, `${num(c)} (${percent(c / total)})`]));
  });
  return {node, legend: null, table: () => valueTable([xName || '', 'count', 'share'], counts.map((c, i) => [num(from + i * width), num(c), percent(c / total)]))};
}

// The DHT's id space as a circle of 256 buckets: nodes outwards, stored records inwards, each record with the nodes that hold it.
function ringChart(ring, records) {
  const c = 210, r = 118, node = s('svg', {class: 'chart ring', viewBox: '0 0 420 420', role: 'img'});
  const point = (turn, radius) => [c + radius * Math.sin(turn * 2 * Math.PI), c - radius * Math.cos(turn * 2 * Math.PI)];
  const seg = (i, from, to) => {
    const a = (i + .08) / 256, b = (i + .92) / 256, p = [point(a, from), point(a, to), point(b, to), point(b, from)];
    return 'M' + p.map(v => v[0].toFixed(1) + ' ' + v[1].toFixed(1)).join('L') + 'Z';
  };
  const nodes = list(ring && ring.nodes), stored = list(ring && ring.stored), most = Math.max(...nodes, 1), full = Math.max(...stored, 1);
  node.append(s('circle', {class: 'ring-base', cx: c, cy: c, r}));
  for (let i = 0; i < 256; ++i) {
    if (nodes[i]) node.append(s('path', {class: 'ring-nodes', d: seg(i, r + 3, r + 3 + 70 * nodes[i] / most)}));
    if (stored[i]) node.append(s('path', {class: 'ring-stored', d: seg(i, r - 3, r - 3 - 34 * stored[i] / full)}));
    node.append(hover(s('path', {class: 'ring-hit', d: seg(i, r - 40, r + 76)}), () => [`ids ${i.toString(16).padStart(2, '0')}…`, `${num(nodes[i] || 0)} nodes`, `${num(stored[i] || 0)} records stored`]));
  }
  for (const [i, word] of ['00', '40', '80', 'c0'].entries()) { const [x, y] = point(i / 4, r + 88); node.append(s('text', {x, y: y + 4, 'text-anchor': 'middle'}, word)); }
  const turn = hex => parseInt(String(hex).padEnd(8, '0').slice(0, 8), 16) / 2 ** 32;
  list(records).slice(0, 12).forEach((rec, k) => {
    const at = turn(rec.key), [kx, ky] = point(at, r - 52), colour = PALETTE[(k + 1) % 8];
    if (!isFinite(kx)) return;
    for (const [, ring8] of list(rec.holders)) {
      if (!ring8) continue;
      const [hx, hy] = point(turn(ring8), r - 2), [mx, my] = point(at, (r - 52) * .55);
      node.append(s('path', {class: 'ring-link', d: `M${kx.toFixed(1)} ${ky.toFixed(1)}Q${mx.toFixed(1)} ${my.toFixed(1)} ${hx.toFixed(1)} ${hy.toFixed(1)}`, stroke: colour}), s('circle', {cx: hx, cy: hy, r: 2.4, fill: colour}));
    }
    node.append(hover(s('path', {class: 'ring-record', transform: `translate(${kx} ${ky})`, d: 'M0-6L6 0L0 6L-6 0Z', fill: colour}),
      () => [`${rec.says || rec.kind || 'record'} · ${String(rec.key).slice(0, 8)}…`, `held by ${list(rec.holders).length}`, list(rec.holders).slice(0, 12).map(v => v[0]).join(', ')]));
  });
  const items = list(records).slice(0, 12).map((rec, k) => ({name: rec.says || rec.kind || 'record', colour: PALETTE[(k + 1) % 8], filled: true, holders: list(rec.holders).length}));
  const legend = legendOf([{name: 'nodes', colour: 'var(--open)', filled: true}, {name: 'records stored', colour: 'var(--accent-soft)', filled: true}, ...items]);
  items.forEach(i => { i.value.textContent = 'on ' + i.holders; });
  return {node, legend, table: () => valueTable(['bucket', 'nodes', 'stored'], nodes.map((n, i) => [i.toString(16).padStart(2, '0'), num(n), num(stored[i] || 0)]))};
}

// Who answered whom, hosts in the order of their regions and NATs.
function pairChart(topology) {
  const hosts = topology.hosts, n = hosts.length, order = hosts.map((_, i) => i);
  const key = i => (hosts[i].region || '') + '\0' + (hosts[i].bootstrap ? '0' : natClass(hosts[i].nat, topology.nats)) + '\0' + (hosts[i].nat || '');
  order.sort((a, b) => key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a - b);
  const place = new Map(order.map((v, i) => [v, i])), size = 420, o = 46, cell = (size - o - 6) / n;
  const node = s('svg', {class: 'chart pairs', viewBox: `0 0 ${size} ${size}`, role: 'img'}), most = Math.max(...topology.edges.map(e => e.count || 1), 1);
  let start = 0;
  order.forEach((v, i) => {
    const region = hosts[v].region || 'world', next = i + 1 < n ? hosts[order[i + 1]].region || 'world' : null;
    if (region === next) return;
    const mid = o + (start + i + 1) / 2 * cell, edge = o + (i + 1) * cell;
    node.append(s('text', {x: mid, y: o - 20, 'text-anchor': 'middle'}, region), s('text', {x: o - 20, y: mid, 'text-anchor': 'middle', transform: `rotate(-90 ${o - 20} ${mid})`}, region));
    if (next !== null) node.append(s('path', {class: 'grid', d: `M${o} ${edge}H${o + n * cell}M${edge} ${o}V${o + n * cell}`}));
    start = i + 1;
  });
  order.forEach((v, i) => {
    const colour = hosts[v].bootstrap ? 'var(--boot)' : NATS[natClass(hosts[v].nat, topology.nats)][0];
    node.append(s('rect', {x: o + i * cell, y: o - 9, width: cell, height: 5, fill: colour}), s('rect', {y: o + i * cell, x: o - 9, width: 5, height: cell, fill: colour}));
  });
  node.append(s('rect', {class: 'pairs-base', x: o, y: o, width: n * cell, height: n * cell}));
  for (const e of topology.edges) {
    const lines = () => [`${hosts[e.a].id} – ${hosts[e.b].id}`, `${e.kind}, ${num(e.count ?? 1)} ×${isNum(e.p50_ms) ? ', p50 ' + ms(e.p50_ms) : ''}`];
    for (const [a, b] of [[e.a, e.b], [e.b, e.a]]) {
      node.append(hover(s('rect', {class: 'pair' + (e.kind === 'failed' ? ' bad' : ''), x: o + place.get(a) * cell, y: o + place.get(b) * cell, width: Math.max(.6, cell - .4), height: Math.max(.6, cell - .4), 'fill-opacity': e.kind === 'failed' ? 1 : (0.18 + 0.82 * Math.log1p(e.count || 1) / Math.log1p(most)).toFixed(2)}), lines));
    }
  }
  return {node, legend: null, table: () => valueTable(['pair', 'path', 'count', 'p50'], topology.edges.map(e => [hosts[e.a].id + ' – ' + hosts[e.b].id, e.kind, num(e.count), ms(e.p50_ms)]))};
}

function valueTable(head, rows) {
  return h('table', {class: 'values'}, h('thead', {}, h('tr', {}, head.map(v => h('th', {scope: 'col'}, v)))), h('tbody', {}, rows.slice(0, 1000).map(r => h('tr', {}, r.map(v => h('td', {}, v))))));
}

// A card with its heading, its words, the drawing, the figures as a table for whoever cannot see it, and how to repeat it.
function figure(title, words, chart, replay, wide) {
  if (!chart) return null;
  const name = h('h3', {}, title);
  chart.node.setAttribute('aria-label', title + (words ? '. ' + words : ''));
  const details = chart.table ? h('details', {class: 'data'}, h('summary', {}, 'figures')) : null;
  if (details) details.addEventListener('toggle', () => { if (details.open && details.children.length === 1) details.append(h('div', {class: 'scroll'}, chart.table())); });
  return h('figure', {class: 'card' + (wide ? ' wide' : '')}, h('figcaption', {}, name, words ? h('p', {}, words) : null), chart.node, chart.legend, h('div', {class: 'card-foot'}, details, replayLine(replay)));
}
function replayLine(command) {
  if (!command) return null;
  const code = h('code', {}, command);
  return h('button', {type: 'button', class: 'replay', title: 'Copy the command that repeats this', 'aria-label': 'Copy: ' + command, onclick: () => {
    const said = t => { code.textContent = t; setTimeout(() => { code.textContent = command; }, 900); };
    if (navigator.clipboard) navigator.clipboard.writeText(command).then(() => said('copied'), () => {});
  }}, h('span', {'aria-hidden': 'true'}, '↻ '), code);
}
