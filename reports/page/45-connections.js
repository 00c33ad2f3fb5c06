// ---- Connections: pairs over time, who was dark, success by pairs of NATs ----
const PATHS = {lan: ['var(--c3)', 'LAN'], direct: ['var(--c1)', 'direct'], punched: ['var(--c5)', 'punched'], relayed: ['var(--c4)', 'relayed'], none: ['var(--sym)', 'not connected']};
// Several at once ("direct or punched") count as the first.
const pathKind = v => Object.keys(PATHS).find(k => String(v).startsWith(k)) || 'none';

// What a pair had, as a bar: direct and LAN thin, punched thick, relayed in dashes, nothing a dotted line; as the drawing's lines are.
function pathBar(changes, end, words) {
  const w = 260, node = s('svg', {class: 'path-bar', viewBox: `0 0 ${w} 14`, role: 'img', preserveAspectRatio: 'none', 'aria-label': words});
  const x = t => w * Math.max(0, Math.min(1, t / end)), spans = [[0, 'none'], ...changes];
  spans.forEach(([from, path], i) => {
    const to = i + 1 < spans.length ? spans[i + 1][0] : end, kind = pathKind(path), a = x(from), b = Math.max(a + .6, x(to));
    if (to <= from && i + 1 < spans.length) return;
    const width = {lan: 4, direct: 4, punched: 10, relayed: 6, none: 1.5}[kind], dash = {relayed: '5 2.5', none: '1.5 3'}[kind];
    node.append(s('line', {x1: a, x2: b, y1: 7, y2: 7, stroke: PATHS[kind][0], 'stroke-width': width, 'stroke-dasharray': dash || null}));
  });
  const marker = s('line', {class: 'marker', y1: 0, y2: 14, visibility: 'hidden'});
  node.append(marker);
  instant.listeners.push(t => { marker.setAttribute('visibility', t === null ? 'hidden' : 'visible'); if (t !== null) { marker.setAttribute('x1', x(t)); marker.setAttribute('x2', x(t)); } });
  return node;
}

function pairsCard(t, end, replay) {
  const all = list(t.connections);
  if (!all.length) return null;
  const axes = label => { const n = list(t.nats).find(v => v.label === label), c = list(n && n.chain); return c.length ? c.map(b => `${b.mapping}/${b.filtering}`).join(' → ') : ''; };
  const nat = (label, seen) => h('span', {class: 'nowrap'}, shape(NATS[natClass(label, t.nats)][1], NATS[natClass(label, t.nats)][0]), ' ', label || 'open', axes(label) ? h('small', {}, ' ' + axes(label)) : null, seen ? h('small', {}, `, seen as ${seen}`) : null);
  const row = c => {
    const changes = list(c.changes).filter(v => Array.isArray(v) && isNum(v[0])), down = pathKind(c.path) === 'none', never = !c.made;
    const words = changes.length ? changes.slice(-4).map(([at, path]) => `${path} ${clock(at)}`).join(', ') : 'never connected';
    const w = c.waited && (never || down || c.waited.code) ? c.waited : null;
    return h('tr', {class: never ? 'failed' : ''},
      h('th', {scope: 'row'}, `${c.a} – ${c.b}`), h('td', {}, never ? 'failed' : PATHS[pathKind(c.last || c.path)][1], down && !never ? h('small', {}, 'not connected at the end') : null),
      h('td', {}, pathBar(changes, end, words), h('small', {}, words, isNum(c.step_ms) ? `, in steps of ${ms(c.step_ms)}` : '')),
      h('td', {class: 'nowrap'}, `${num(c.made)} of ${num(c.dials)}`), h('td', {class: 'nowrap'}, ms(c.p50_ms)), h('td', {}, num(c.probes)),
      h('td', {}, w ? [w.step ? [`${w.by} waited in `, h('code', {}, w.step)] : `${w.by} waited`, isNum(w.at_ms) ? ` until ${clock(w.at_ms)}` : '', w.code ? h('small', {}, w.code) : null] : c.closed && down ? h('small', {}, 'closed: ' + c.closed) : null),
      h('td', {}, nat(c.a_nat, c.a_seen), h('br'), nat(c.b_nat, c.b_seen)));
  };
  return h('div', {class: 'card wide'}, h('h3', {}, 'Connections, pair by pair'), h('p', {}, `A pair is connected while one connection is open at both ends.${all.length < (t.connections_all || 0) ? ` Shown: ${all.length} of ${num(t.connections_all)} pairs, those that failed first.` : ''}`),
    h('div', {class: 'scroll'}, h('table', {class: 'values pairs-table'}, h('thead', {}, h('tr', {}, ['pair', 'path', 'over time', 'came about', 'p50', 'probes', 'what waited', 'NATs, as they are and as seen'].map(v => h('th', {scope: 'col'}, v)))), h('tbody', {}, all.map(row)))),
    h('ul', {class: 'legend'}, Object.entries(PATHS).map(([k, [, name]]) => h('li', {}, h('span', {class: 'path-key'}, pathBar([[0, k]], 1, name)), name))), h('div', {class: 'card-foot'}, replayLine(replay)));
}

// A row for each caller: reachable, or dark; how long in all.
function reachChart(t, entry, faults, end) {
  const rows = list(entry.rows), rowHeight = 20, f = {...FRAME, w: 1150, l: 110, r: 110, b: 26, h: 14 + 26 + Math.max(1, rows.length) * rowHeight};
  const x = v => f.l + (f.w - f.l - f.r) * Math.max(0, Math.min(1, v / end)), node = s('svg', {class: 'chart timed', viewBox: `0 0 ${f.w} ${f.h}`, role: 'img'});
  for (const m of faults) node.append(s('rect', {class: 'fault', x: x(m.from_ms), y: f.t, width: Math.max(1, x(Math.min(end, m.to_ms ?? end)) - x(m.from_ms)), height: f.h - f.t - f.b}, s('title', {}, momentWords(m))));
  for (const v of timeTicks(0, end, 12)) node.append(s('line', {class: 'tick', x1: x(v), x2: x(v), y1: f.h - f.b, y2: f.h - f.b + 4}), s('text', {x: x(v), y: f.h - f.b + 17, 'text-anchor': 'middle'}, clock(v)));
  rows.forEach((r, i) => {
    const y = f.t + i * rowHeight + rowHeight / 2, from = isNum(r.from_ms) ? r.from_ms : 0, dark = list(r.dark).filter(v => Array.isArray(v) && isNum(v[0]) && isNum(v[1]));
    node.append(s('text', {x: f.l - 8, y: y + 4, 'text-anchor': 'end'}, r.host), s('line', {x1: x(from), x2: x(end), y1: y, y2: y, stroke: 'var(--home)', 'stroke-width': 5}));
    for (const [a, b] of dark) node.append(hover(s('rect', {class: 'dark', x: x(a), y: y - 6, width: Math.max(1, x(b) - x(a)), height: 12}), () => [r.host, `dark from ${clock(a)} to ${clock(b)}`, `${trim((b - a) / 1000, 1)} s`]));
    node.append(s('text', {class: r.dark_ms > 0 ? 'dark-sum' : '', x: f.w - f.r + 8, y: y + 4}, r.dark_ms > 0 ? `dark ${trim(r.dark_ms / 1000, 1)} s` : 'never dark'));
  });
  const marker = s('line', {class: 'marker', y1: f.t, y2: f.h - f.b, visibility: 'hidden'});
  node.append(marker);
  node.addEventListener('click', e => { const box = node.getBoundingClientRect(); instant.set(Math.max(0, Math.min(end, ((e.clientX - box.left) * f.w / box.width - f.l) / (f.w - f.l - f.r) * end))); });
  instant.listeners.push(at => { marker.setAttribute('visibility', at === null ? 'hidden' : 'visible'); if (at !== null) { marker.setAttribute('x1', x(at)); marker.setAttribute('x2', x(at)); } });
  const legend = legendOf([{name: 'reached', colour: 'var(--home)'}, {name: 'dark: calls that began then failed', colour: 'var(--dark)', filled: true}]);
  return {node, legend, table: () => valueTable(['caller', 'calls', 'dark', 'spans'], rows.map(r => [r.host, num(r.calls), `${trim((r.dark_ms || 0) / 1000, 1)} s`, list(r.dark).map(v => `${clock(v[0])} – ${clock(v[1])}`).join(', ')]))};
}

// Wilson's interval at 95 %.
function wilson(good, n) {
  const z = 1.96, p = good / n, mid = (p + z * z / (2 * n)) / (1 + z * z / n), half = z / (1 + z * z / n) * Math.sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return [Math.max(0, mid - half), Math.min(1, mid + half)];
}
function natHeat(cells, replay, words) {
  if (cells.length < 3) return null;
  const weight = new Map();
  for (const c of cells) for (const k of [c.a, c.b]) weight.set(k, (weight.get(k) || 0) + c.n);
  const order = ['open', 'full-cone', 'restricted-cone', 'port-restricted', 'cgn', 'symmetric-preserving', 'symmetric-sequential', 'symmetric', 'udp-blocked'], rank = k => { const i = order.findIndex(v => k === v || (v !== 'open' && k.startsWith(v + '+'))); return i < 0 ? 50 : i + (k.includes('+') ? .5 : 0); };
  const names = [...weight.keys()].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1)).slice(0, 24), total = cells.reduce((a, c) => a + c.n, 0), good = cells.reduce((a, c) => a + c.ok, 0), [lo, hi] = wilson(good, total || 1);
  const cell = (a, b) => {
    const c = cells.find(v => v.a === a && v.b === b);
    if (!c || !c.n) return h('td', {});
    const p = c.ok / c.n, [low, high] = wilson(c.ok, c.n);
    return h('td', {}, hover(h('div', {class: 'heat', style: `--p:${Math.round(100 * p)}%`}, h('b', {}, trim(100 * p, 0) + ' %'), h('small', {}, `n ${num(c.n)}`), h('small', {}, `${trim(100 * low, 0)}–${trim(100 * high, 0)}`)),
      () => [`${a} dials ${b}`, `${num(c.ok)} of ${num(c.n)}, 95 % in ${percent(low)} – ${percent(high)}`, ...Object.entries(c.paths || {}).map(([k, n]) => `${k} ${num(n)}`), isNum(c.p50_ms) ? 'p50 ' + ms(c.p50_ms) : '']));
  };
  return h('div', {class: 'card wide'}, h('h3', {}, 'Dials by the NATs of both sides'), h('p', {}, `${words || ''}Rows dial columns. A cell: share that was reached, how many dials, and Wilson’s 95 % interval in per cent. In all ${num(good)} of ${num(total)}: ${percent(good / (total || 1))} [${percent(lo)}, ${percent(hi)}].`),
    h('div', {class: 'scroll'}, h('table', {class: 'matrix heat-table'}, h('thead', {}, h('tr', {}, h('td'), names.map(k => h('th', {scope: 'col'}, k)))), h('tbody', {}, names.map(a => h('tr', {}, h('th', {scope: 'row'}, a), names.map(b => cell(a, b))))))), h('div', {class: 'card-foot'}, replayLine(replay)));
}

function causes(t) {
  const all = list(t.connect_errors), total = all.reduce((a, e) => a + (e.count || 0), 0);
  if (!total) return null;
  let sum = 0;
  return h('div', {class: 'card'}, h('h3', {}, 'Why dials failed'), h('div', {class: 'scroll'}, h('table', {class: 'values'}, h('thead', {}, h('tr', {}, ['cause', 'dials', 'share', 'with those above'].map(v => h('th', {scope: 'col'}, v)))), h('tbody', {}, all.map(e => { sum += e.count || 0; return h('tr', {}, h('td', {}, h('code', {}, e.error)), h('td', {}, num(e.count)), h('td', {class: 'nowrap'}, h('span', {class: 'share'}, h('i', {style: `width:${100 * e.count / total}%`})), percent(e.count / total)), h('td', {}, percent(sum / total))); })))));
}

function connectionsSection(part, result, end, replay) {
  const t = part.topology;
  if (!t) return null;
  const faults = list(result.moments).filter(m => m.kind === 'fault');
  const reach = list(t.reach).filter(e => list(e.rows).length).map(e => figure(`Can ${e.to || 'it'} be reached?`, `Each call of “${e.as}”, by when it began: from the first that failed to the next that did not, the caller was dark.`, reachChart(t, e, faults, end), replay, true));
  return section('connections', 'Connections', null, ...reach, pairsCard(t, end, replay), natHeat(list(t.nat_pairs), replay), h('div', {class: 'grid'}, causes(t)));
}
