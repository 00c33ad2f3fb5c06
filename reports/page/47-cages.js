// ---- Cages: what each slot did over time, each death from near, where healing spends its time ----
// Colour, thickness of the bar, its dash (patterns would need an address).
const CAGE_SHOWS = {RUN: ['var(--c3)', 'gets requests', .62, ''], INIT: ['var(--c6)', 'being made', .62, '2 1.5'], HUNG: ['var(--c5)', 'hung, and nobody knew', .8, '5 2'], CRASH: ['var(--sym)', 'dead', 1, ''],
  GAVE_UP: ['var(--ink)', 'given up', .3, ''], SPARED: ['var(--c4)', 'answers nonsense, is spared', .4, '1.5 2.5'], TERM: ['var(--c1)', 'finishes what it has', .35, ''], STOP: ['var(--muted)', 'stopped', .12, '1.5 3'], DOWN: ['var(--muted)', 'its host is down', .12, '6 4']};
const cageShow = v => CAGE_SHOWS[v] || CAGE_SHOWS.STOP;
const CAUSE_MARKS = {panic: 'M-4-4L4 4M4-4L-4 4', memory: 'M-3.5-3.5H3.5V3.5H-3.5Z', timeout: 'M0-4.5L4.5 3.5H-4.5Z', engine: 'M0-5L4.5 0L0 5L-4.5 0Z'};
const causeMark = (cause, x, y) => s('path', {class: 'cause' + (cause === 'panic' || !CAUSE_MARKS[cause] ? ' open' : ''), d: CAUSE_MARKS[cause] || CAUSE_MARKS.panic, transform: `translate(${x.toFixed(1)} ${y})`});
const causeKey = cause => s('svg', {class: 'mark', viewBox: '-7 -7 14 14', 'aria-hidden': 'true'}, causeMark(cause, 0, 0));
const PHASES = [['detect_ms', 'detect', 'var(--c5)', 1], ['backoff_ms', 'back-off', 'var(--c8)', .62], ['spawn_ms', 'spawn', 'var(--c1)', .8], ['answer_ms', 'first answer', 'var(--c6)', 1]];
const CAGE_ENDS = {healed: 'served again', again: 'the next died too', gave_up: 'given up', replaced: 'another was put in its place', host_down: 'its host went down', open: 'not whole at the end'};
// Fine enough for a death of a millisecond.
const fine = t => isNum(t) ? (t < 6e4 ? trim(t / 1000, 4) + ' s' : clock(t) + (t % 1000 ? ` + ${trim(t % 1000, 1)} ms` : '')) : '–';
const slotName = (c, v) => `${v.site}/${v.slot}` + (c.hosts > 1 ? ` on ${v.host}` : '');
const sameSite = (a, b) => a.host === b.host && a.site === b.site;
const changesOf = lane => list(lane.changes).filter(v => Array.isArray(v) && isNum(v[0]));
function stateAt(changes, t) {
  let lo = 0, hi = changes.length;
  while (lo < hi) { const mid = (lo + hi) >> 1; if (changes[mid][0] <= t) lo = mid + 1; else hi = mid; }
  return lo - 1;
}
// Segments of a lane between two instants, each at least `least` wide and the worst on top.
function laneBars(changes, from, to, x, y, height, least) {
  const bars = [];
  for (let i = Math.max(0, stateAt(changes, from)); i < changes.length && changes[i][0] < to; ++i) {
    const a = x(Math.max(from, changes[i][0])), b = x(Math.min(to, i + 1 < changes.length ? changes[i + 1][0] : to)), [colour, , share, dash] = cageShow(changes[i][1]);
    const bad = changes[i][1] === 'CRASH' || changes[i][1] === 'HUNG' || changes[i][1] === 'GAVE_UP';
    if (b - a < .15 && !bad) continue;
    bars.push([bad, s('line', {x1: a.toFixed(2), x2: Math.max(a + least, b).toFixed(2), y1: y, y2: y, stroke: colour, 'stroke-width': Math.max(1.2, height * share).toFixed(1), 'stroke-dasharray': dash && b - a > 6 ? dash : null})]);
  }
  return bars.sort((p, q) => p[0] - q[0]).map(p => p[1]);
}

const LANES_DRAWN = 64;
// Sites with every slot until there is room for no more; the others as one strip: how many of their slots got requests.
function filmChart(c, faults, end) {
  const sites = list(c.sites).map(v => ({...v, lanes: list(c.lanes).filter(l => sameSite(l, v))})).filter(v => v.lanes.length);
  let room = LANES_DRAWN;
  for (const v of sites) { v.whole = v.lanes.length <= room && room > 0; if (v.whole) room -= v.lanes.length; }
  const many = sites.filter(v => v.whole).reduce((a, v) => a + v.lanes.length, 0) > 24, pitch = many ? 13 : 24, bar = many ? 10 : 15, headed = sites.length > 1;
  const f = {w: 1160, l: 150, r: 96, t: 10}, x = v => f.l + (f.w - f.l - f.r) * Math.max(0, Math.min(1, v / end)), node = s('svg', {class: 'chart timed film', role: 'img'}), shade = s('g', {}), body = s('g', {}), rows = [];
  let y = f.t;
  for (const site of sites) {
    if (headed) { y += 4; body.append(s('text', {class: 'film-site', x: 2, y: y + 10}, `${site.site}${c.hosts > 1 ? ' on ' + site.host : ''}`), s('text', {x: f.l, y: y + 10}, `${num(site.slots)} slots, ${num(site.deaths)} deaths${site.whole ? '' : '; the height of the strip is how many of them get requests'}`)); y += 16; }
    const deaths = list(c.deaths).filter(d => sameSite(d, site));
    const marks = (all, at) => {
      let last = null;
      for (const d of all.slice().sort((a, b) => a.at_ms - b.at_ms)) {
        const px = x(d.at_ms);
        if (last && px - last.px < 11) { last.all.push(d); continue; }
        last = {px, all: [d]};
        const own = last, g = s('g', {class: 'death'}, s('rect', {class: 'ring-hit', x: px - 6, y: at - 7, width: 12, height: 14}), causeMark(d.cause, px, at));
        body.append(hover(g, () => own.all.length > 1 ? [`${own.all.length} deaths`, ...own.all.slice(0, 12).map(v => `${slotName(c, v)} ${v.cause} ${fine(v.at_ms)}: ${ms(v.dark_ms)}`), own.all.length > 12 ? `and ${own.all.length - 12} more` : '']
          : [`${slotName(c, d)} died: ${d.cause}`, `at ${fine(d.at_ms)}`, ...PHASES.filter(([k]) => isNum(d[k])).map(([k, name]) => `${name} ${ms(d[k])}`), `${CAGE_ENDS[d.end] || ''}${d.end === 'healed' ? ` after ${ms(d.dark_ms)}` : ''}`]));
        own.count = s('text', {class: 'death-count', x: px + 6, y: at - 2}, '');
        body.append(own.count);
        all.marks = [...all.marks || [], own];
      }
      for (const m of all.marks || []) if (m.all.length > 1) m.count.textContent = String(m.all.length);
    };
    if (site.whole) {
      for (const lane of site.lanes) {
        const mid = y + pitch / 2 + (many ? 0 : 2), own = deaths.filter(d => d.slot === lane.slot);
        body.append(s('text', {x: f.l - 8, y: mid + 4, 'text-anchor': 'end'}, headed ? `slot ${lane.slot}` : `${site.site}/${lane.slot}`), ...laneBars(changesOf(lane), 0, end, x, mid, bar, 1.6),
          s('text', {x: f.w - f.r + 8, y: mid + 4, class: lane.deaths ? 'dark-sum' : ''}, lane.deaths ? `${num(lane.deaths)} ${lane.deaths === 1 ? 'death' : 'deaths'}` : changesOf(lane).some(v => v[1] === 'DOWN') ? 'host was down' : 'never died'));
        if (!many) marks(own, mid - bar / 2);
        rows.push({top: y, bottom: y + pitch, lane});
        y += pitch;
      }
      if (many) { marks(deaths, y + 7); y += 15; }
    } else {
      const steps = 300, all = site.lanes.map(changesOf), height = 16;
      let d = '';
      for (let i = 0; i < steps; ++i) {
        const a = end * i / steps, b = end * (i + 1) / steps;
        // The fewest at any moment of the step would need every pair of slots; those that ran all through it are a lower bound.
        const up = all.filter(v => { const k = stateAt(v, a); if (k < 0 || v[k][1] !== 'RUN') return false; return k + 1 >= v.length || v[k + 1][0] >= b; }).length;
        d += `${i ? 'L' : 'M'}${x(a).toFixed(1)} ${(y + height - height * up / site.slots).toFixed(1)}H${x(b).toFixed(1)}`;
      }
      body.append(s('rect', {class: 'film-strip', x: f.l, y, width: f.w - f.l - f.r, height}), s('path', {class: 'film-up', d: d + `V${y + height}H${f.l}Z`}), s('text', {x: f.w - f.r + 8, y: y + 12, class: site.deaths ? 'dark-sum' : ''}, `dark ${ms(site.dark_ms)}`));
      marks(deaths, y + height + 6);
      rows.push({top: y, bottom: y + height, site});
      y += height + 14;
    }
  }
  const h1 = y + 26;
  node.setAttribute('viewBox', `0 0 ${f.w} ${h1}`);
  for (const m of faults) shade.append(s('rect', {class: 'fault', x: x(m.from_ms), y: f.t, width: Math.max(1, x(Math.min(end, m.to_ms ?? end)) - x(m.from_ms)), height: y - f.t}));
  for (const v of timeTicks(0, end, 12)) shade.append(s('line', {class: 'grid', x1: x(v), x2: x(v), y1: f.t, y2: y}), s('text', {x: x(v), y: y + 16, 'text-anchor': 'middle'}, clock(v)));
  const cross = s('line', {class: 'cross', y1: f.t, y2: y, visibility: 'hidden'}), marker = s('line', {class: 'marker', y1: f.t, y2: y, visibility: 'hidden'});
  node.append(shade, body, cross, marker);
  const place = e => { const box = node.getBoundingClientRect(); return [Math.max(0, Math.min(end, ((e.clientX - box.left) * f.w / box.width - f.l) / (f.w - f.l - f.r) * end)), (e.clientY - box.top) * h1 / box.height]; };
  const words = (t, row) => {
    if (row.site) return [`${row.site.site}${c.hosts > 1 ? ' on ' + row.site.host : ''}`, `${row.site.lanes.filter(l => { const v = changesOf(l), k = stateAt(v, t); return k >= 0 && v[k][1] === 'RUN'; }).length} of ${row.site.slots} get requests at ${clock(t)}`];
    const v = changesOf(row.lane), k = stateAt(v, t);
    return [slotName(c, row.lane), k < 0 ? 'not yet there' : `${v[k][1]}: ${cageShow(v[k][1])[1]}`, k < 0 ? '' : `${fine(v[k][0])} – ${k + 1 < v.length ? fine(v[k + 1][0]) : 'end'}${isNum(row.lane.step_ms) ? `, in steps of ${ms(row.lane.step_ms)}` : ''}`, `answered ${num(row.lane.answered)}, ${num(row.lane.cages)} cages`];
  };
  body.addEventListener('pointermove', e => e.stopPropagation && e.target.closest && e.target.closest('.death') && e.stopPropagation());
  node.addEventListener('pointermove', e => {
    const [t, py] = place(e), row = rows.find(r => py >= r.top && py < r.bottom);
    cross.setAttribute('x1', x(t)); cross.setAttribute('x2', x(t)); cross.setAttribute('visibility', 'visible');
    if (row) showTip(e, words(t, row)); else hideTip();
  });
  node.addEventListener('pointerleave', () => { cross.setAttribute('visibility', 'hidden'); hideTip(); });
  node.addEventListener('click', e => instant.set(place(e)[0]));
  instant.listeners.push(t => { marker.setAttribute('visibility', t === null ? 'hidden' : 'visible'); if (t !== null) { marker.setAttribute('x1', x(t)); marker.setAttribute('x2', x(t)); } });
  const used = new Set(list(c.lanes).flatMap(l => changesOf(l).map(v => v[1]))), causes = new Set(list(c.deaths).map(d => d.cause));
  const legend = h('ul', {class: 'legend'}, Object.entries(CAGE_SHOWS).filter(([k]) => used.has(k)).map(([k, [colour, name, share, dash]]) => h('li', {}, s('svg', {class: 'swatch', viewBox: '0 0 26 10', 'aria-hidden': 'true'}, s('line', {x1: 1, x2: 25, y1: 5, y2: 5, stroke: colour, 'stroke-width': 10 * share, 'stroke-dasharray': dash || null})), h('code', {}, k), name)),
    [...causes].map(k => h('li', {}, causeKey(k), `died: ${k}`)));
  return {node, legend, strips: sites.filter(v => !v.whole).length, table: () => valueTable(['slot', 'state', 'from', 'to'], list(c.lanes).flatMap(l => changesOf(l).map((v, i, all) => [slotName(c, l), v[1], fine(v[0]), i + 1 < all.length ? fine(all[i + 1][0]) : 'end'])))};
}

// One death from near: its phases on a scale of their own, and under them what the site's other slots did meanwhile.
function deathBar(c, d, end) {
  const others = list(c.lanes).filter(l => sameSite(l, d) && l.slot !== d.slot).slice(0, 7), w = 430, tall = 18, height = tall + 4 + others.length * 6, span = Math.max(d.dark_ms || 0, .001), until = d.wrong_ms + span;
  const from = Math.max(0, d.wrong_ms - span * .12), to = Math.min(Math.max(end, until), until + span * .12), x = t => w * Math.max(0, Math.min(1, (t - from) / (to - from || 1)));
  const node = s('svg', {class: 'death-bar', viewBox: `0 0 ${w} ${height}`, role: 'img', 'aria-label': PHASES.filter(([k]) => isNum(d[k])).map(([k, name]) => `${name} ${ms(d[k])}`).join(', ')});
  const mid = tall / 2 + 1, own = list(c.lanes).find(l => sameSite(l, d) && l.slot === d.slot), known = own && !isNum(own.step_ms);
  // Before and after: what the slot did; where that is not told exactly, nothing is drawn.
  const flank = (a, b) => { if (known && b > a) node.append(...laneBars(changesOf(own), a, b, x, mid, tall, 0)); };
  flank(from, d.wrong_ms);
  let t = d.wrong_ms;
  for (const [key, name, colour, share] of PHASES) {
    if (!isNum(d[key]) || d[key] <= 0) continue;
    const a = x(t), b = Math.max(x(t + d[key]), a + 2), label = `${name} ${ms(d[key])}`;
    node.append(hover(s('rect', {x: a, y: mid - tall * share / 2, width: b - a, height: tall * share, fill: colour}), () => [label, `${fine(t)}`]));
    if (b - a > 6.4 * label.length) node.append(s('text', {class: share < 1 ? 'on-bar' : 'phase-name', x: a + 5, y: mid + 4}, label));
    t += d[key];
  }
  flank(t, to);
  others.forEach((l, i) => node.append(...laneBars(changesOf(l), from, to, x, tall + 6 + i * 6, 5, 1.2)));
  return node;
}

const DEATHS_DRAWN = 12;
function deathsCard(c, end, replay) {
  const all = list(c.deaths);
  if (!all.length) return null;
  const first = [...new Set(all.map(d => d.cause))].map(k => all.find(d => d.cause === k)), picked = new Set(first.slice(0, DEATHS_DRAWN));
  for (const d of all) if (picked.size < DEATHS_DRAWN) picked.add(d);
  const shown = all.filter(d => picked.has(d)), total = isNum(c.deaths_all) ? c.deaths_all : all.length, dark = shown.map(d => Math.max(.001, d.dark_ms || 0)), lo = Math.min(...dark), hi = Math.max(...dark), logs = hi > lo ? Math.log(hi / lo) : 1;
  const siblings = list(c.lanes).some(l => shown.some(d => sameSite(l, d) && l.slot !== d.slot));
  const cell = v => h('td', {class: 'nowrap num'}, isNum(v) ? ms(v) : '–');
  const rows = shown.map(d => h('tr', {}, h('td', {}, atButton(d.at_ms)), h('th', {scope: 'row', class: 'nowrap'}, slotName(c, d), ' ', h('small', {}, causeKey(d.cause), ' ', d.cause)), h('td', {}, deathBar(c, d, end), d.end !== 'healed' ? h('small', {}, CAGE_ENDS[d.end] || d.end) : null),
    h('td', {class: 'nowrap num'}, h('b', {}, ms(d.dark_ms)), hi > lo * 1.5 ? h('span', {class: 'share heal-log', title: 'on a logarithmic axis'}, h('i', {style: `width:${(4 + 96 * Math.log(Math.max(.001, d.dark_ms || 0) / lo) / logs).toFixed(0)}%`})) : null),
    PHASES.map(([k]) => cell(d[k])), h('td', {class: 'num'}, num(d.retried)), h('td', {class: 'num'}, d.failed ? h('span', {class: 'badge failed'}, num(d.failed)) : '0')));
  const words = `Each bar has a scale of its own, from when the cage went wrong until the next had answered${siblings ? '; the thin lines under it are the site’s other slots in that time' : ''}. Requests that the cage had were given to another, or lost.${shown.length < total ? ` Shown: ${shown.length} of ${num(total)} deaths, the longest of each cause and then the longest of all${all.length < total ? `; the ${num(all.length)} longest are` : '; all are'} under “figures”.` : ''}`;
  const details = h('details', {class: 'data'}, h('summary', {}, 'figures'));
  details.addEventListener('toggle', () => { if (details.open && details.children.length === 1) details.append(h('div', {class: 'scroll'}, valueTable(['at', 'slot', 'cause', 'not serving', ...PHASES.map(p => p[1]), 'given to another', 'lost', 'what followed'], all.map(d => [fine(d.at_ms), slotName(c, d), d.cause, ms(d.dark_ms), ...PHASES.map(([k]) => ms(d[k])), num(d.retried), num(d.failed), CAGE_ENDS[d.end] || d.end])))); });
  return h('div', {class: 'card wide'}, h('h3', {}, shown.length < total ? `Deaths from near, ${shown.length} of ${num(total)}` : total === 1 ? 'The death from near' : `The ${num(total)} deaths from near`), h('p', {}, words),
    h('div', {class: 'scroll'}, h('table', {class: 'values deaths'}, h('thead', {}, h('tr', {}, ['at', 'slot', 'from near', 'not serving', ...PHASES.map(p => p[1]), 'given to another', 'lost'].map(v => h('th', {scope: 'col'}, v)))), h('tbody', {}, rows))),
    h('ul', {class: 'legend'}, PHASES.map(([, name, colour, share]) => h('li', {}, s('svg', {class: 'swatch', viewBox: '0 0 26 10', 'aria-hidden': 'true'}, s('rect', {x: 1, y: 5 - 5 * share, width: 24, height: 10 * share, fill: colour})), name))), h('div', {class: 'card-foot'}, details, replayLine(replay)));
}

// By cause: how long healing took, and of its median where it went.
function causesCard(c) {
  const all = list(c.causes);
  if (!all.length) return null;
  const bar = v => {
    const parts = PHASES.map(([k, name, colour, share]) => [v[k.replace('_ms', '_p50_ms')] || 0, name, colour, share]), sum = parts.reduce((a, p) => a + p[0], 0);
    if (!sum) return h('span', {class: 'muted'}, '–');
    let at = 0;
    const node = s('svg', {class: 'path-bar', viewBox: '0 0 200 14', role: 'img', preserveAspectRatio: 'none', 'aria-label': parts.map(p => `${p[1]} ${ms(p[0])}`).join(', ')});
    for (const [part, , colour, share] of parts) { if (!part) continue; const w = Math.max(1.5, 200 * part / sum); node.append(s('rect', {x: at, y: 7 - 7 * share, width: w, height: 14 * share, fill: colour})); at += w; }
    return hover(node, () => ['medians', ...parts.map(p => `${p[1]} ${ms(p[0])}`)]);
  };
  return h('div', {class: 'card'}, h('h3', {}, 'Time to heal, by cause'), h('p', {}, 'The bar: the medians of detect, back-off, spawn and first answer, as shares.'), h('div', {class: 'scroll'}, h('table', {class: 'values'}, h('thead', {}, h('tr', {}, ['cause', 'deaths', 'healed', 'p50', 'p95', 'max', 'where it went'].map(v => h('th', {scope: 'col'}, v)))),
    h('tbody', {}, all.map(v => h('tr', {}, h('th', {scope: 'row', class: 'nowrap'}, causeKey(v.cause), ' ', v.cause), h('td', {}, num(v.deaths)), h('td', {}, num(v.healed)), ...['heal_p50_ms', 'heal_p95_ms', 'heal_max_ms'].map(k => h('td', {class: 'nowrap'}, ms(v[k]))), h('td', {}, bar(v))))))));
}
function sitesCard(c) {
  const all = list(c.sites);
  if (all.length < 2) return null;
  return h('div', {class: 'card'}, h('h3', {}, `${num(isNum(c.sites_all) ? c.sites_all : all.length)} sites`), isNum(c.sites_all) && c.sites_all > all.length ? h('p', {}, `Shown: ${all.length}, those that served least first.`) : null, h('div', {class: 'scroll tall'}, h('table', {class: 'values'}, h('thead', {}, h('tr', {}, ['site', 'slots', 'deaths', 'slots not serving', 'answered', 'failed'].map(v => h('th', {scope: 'col'}, v)))),
    h('tbody', {}, all.map(v => h('tr', {}, h('th', {scope: 'row'}, v.site, c.hosts > 1 ? h('small', {}, v.host) : null), h('td', {}, num(v.slots)), h('td', {}, num(v.deaths)), h('td', {class: 'nowrap'}, v.deaths ? ms(v.dark_ms) : '–'), h('td', {}, num(v.answered)), h('td', {}, v.failed ? h('span', {class: 'badge failed'}, num(v.failed)) : '0')))))));
}

function cagesSection(part, result, end, replay) {
  const c = part.cages && {...part.cages, hosts: new Set(list(part.cages.sites).map(v => v.host)).size};
  if (!c || !list(c.lanes).length && !list(c.sites).length) return null;
  if (isNum(c.end_ms)) end = Math.max(end, c.end_ms);
  const faults = list(result.moments).filter(m => m.kind === 'fault'), series = name => list(part.series && part.series.series).filter(v => v.name === name);
  const lines = (all, names) => all.map(v => ({name: Object.values(v.labels || {}).join(' ') || v.name, colour: names[Object.values(v.labels || {})[0]], from: v.from_ms || 0, step: v.step_ms, values: v.values})).sort((a, b) => Object.keys(names).indexOf(a.name) - Object.keys(names).indexOf(b.name));
  const requests = lines(series('cage.requests'), {answered: 'var(--c3)', '4xx': 'var(--c5)', '5xx': 'var(--sym)'}), latency = lines(series('http.get.by_start_ms'), {p50: 'var(--c1)', p99: 'var(--c5)', max: 'var(--sym)'});
  const film = list(c.lanes).length ? filmChart(c, faults, end) : null, told = list(c.lanes).length, allLanes = isNum(c.lanes_all) ? c.lanes_all : told;
  const left = [film && film.strips ? `${film.strips} sites are one strip each` : '', told < allLanes ? `${num(allLanes - told)} of ${num(allLanes)} slots are not in the run directory; their sites are in the table below` : '', isNum(c.changes_lost) ? `${num(c.changes_lost)} changes of state were not kept` : '', list(c.lanes).some(l => isNum(l.step_ms)) ? 'slots that changed more than 256 times are told in steps, the worst state of each' : ''].filter(Boolean).join('; ');
  return section('cages', 'Cages', null,
    film ? figure('Film strip', `A lane per slot: what its cage did. A mark is a death, its shape the cause; a number, that so many fall together.${left ? ` Left out: ${left}.` : ''}`, film, replay, true) : null, deathsCard(c, end, replay),
    h('div', {class: 'masonry'}, causesCard(c), requests.length ? figure('Requests', 'A second, by what came of them.', timeChart({series: requests, faults, end, stacked: true}), replay) : null,
      latency.length ? figure('How long gets take', 'By when each was to begin, not when it ended, on a logarithmic axis: what waited is not hidden.', timeChart({series: latency, faults, end, unit: 'ms', log: true}), replay) : null, sitesCard(c)));
}
