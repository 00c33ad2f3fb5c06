// ---- Sections of one part (a run without cases, or one case) ----
const section = (id, title, words, ...content) => content.flat().some(Boolean) ? h('section', {id}, h('h2', {}, title), words ? h('p', {class: 'words'}, words) : null, ...content) : null;

function verdictSentence(result) {
  const claims = list(result.claims), held = claims.filter(c => c.verdict === 'held').length, failed = claims.filter(c => c.verdict === 'failed'), open = claims.length - held - failed.length;
  if (!claims.length) return [result.passed ? 'Nothing was claimed, and nothing failed.' : 'The run failed before a claim was judged.'];
  const all = held === claims.length;
  const head = all ? (held === 1 ? 'The one claim held.' : `All ${held} claims held.`) : `${held} of ${claims.length} claims held`;
  if (all) return [head];
  if (!failed.length) return [head, `; ${open} undecided.`];
  const f = failed[0];
  return [head, '; ', h('em', {}, (f.case ? f.case + ': ' : '') + f.says), ' failed', isNum(f.at) ? ` at ${clock(f.at)}` : '', f.observed ? `: ${f.observed}` : '', failed.length > 1 ? `, and ${failed.length - 1} more.` : '.'];
}

function marginOf(c) {
  const known = list(c.bounds).filter(b => isNum(b.margin) && b.is !== 'is');  // An exact figure has no room.
  return known.length ? known.reduce((a, b) => b.margin < a.margin ? b : a) : null;
}
function marginBar(c) {
  const worst = marginOf(c);
  if (!worst) return h('span', {class: 'muted'}, '–');
  const m = Math.max(-1, Math.min(1, worst.margin)), w = Math.abs(m) * 50;
  return hover(h('span', {class: 'margin', role: 'img', 'aria-label': `margin ${percent(worst.margin)}`}, h('i', {class: m < 0 ? 'under' : 'over', style: m < 0 ? `right:50%;width:${w}%` : `left:50%;width:${w}%`}), h('b', {}, percent(worst.margin))),
    () => ['Room left, as a share of the bound', ...list(c.bounds).map(b => `${b.part ? b.part + ' ' : ''}${b.stat || ''}: ${withUnit(b.observed, c.unit)} of ${withUnit(b.bound, c.unit)}${isNum(b.margin) ? ' · ' + percent(b.margin) : ''}`).slice(0, 14)]);
}
const badge = v => h('span', {class: 'badge ' + verdictClass(v)}, h('span', {'aria-hidden': 'true'}, ICONS[verdictClass(v)]), ' ', v);
const atButton = t => isNum(t) ? h('button', {type: 'button', class: 'instant', title: 'Show this instant in every chart', onclick: () => { instant.set(t); const r = document.getElementById('time'); if (r) r.scrollIntoView({behavior: 'smooth', block: 'nearest'}); }}, clock(t)) : h('span', {class: 'muted'}, '–');

const windowWords = c => !c.window ? '' : c.window.says || (isNum(c.window.from_ms) || isNum(c.window.to_ms) ? `${clock(c.window.from_ms || 0)} – ${isNum(c.window.to_ms) ? clock(c.window.to_ms) : 'end'}` : '');
function claimRows(claims) {
  return claims.map(c => h('tr', {class: verdictClass(c.verdict)}, h('td', {}, badge(c.verdict)),
    h('th', {scope: 'row'}, c.says, list(c.why).length ? h('ul', {class: 'why'}, c.why.slice(0, 12).map(w => h('li', {}, w))) : null, windowWords(c) ? h('small', {}, windowWords(c)) : null),
    h('td', {class: 'num'}, c.expected || '–'), h('td', {class: 'num'}, c.observed || '–', isNum(c.n) ? h('small', {}, 'n ' + num(c.n)) : null), h('td', {}, marginBar(c)), h('td', {class: 'num'}, atButton(c.at))));
}
function claimTable(claims) {
  // Claims that name their subject before a colon (“filtering: …”) are read by subject; the NAT physics file is written so.
  const axis = c => { const m = /^([^:]{2,32}): (.+)$/.exec(c.says); return m ? m[1] : null; };
  const grouped = claims.length >= 6 && claims.filter(axis).length * 2 >= claims.length, groups = new Map();
  for (const c of claims) { const k = grouped ? axis(c) || 'other' : ''; groups.set(k, [...groups.get(k) || [], c]); }
  const body = [...groups].flatMap(([name, own]) => [
    name ? h('tr', {class: 'group'}, h('th', {colspan: 6, scope: 'rowgroup'}, name, h('small', {}, `${own.filter(c => c.verdict === 'held').length} of ${own.length}`))) : null,
    ...claimRows(own.map(c => name && axis(c) ? {...c, says: axis(c) === name ? c.says.slice(name.length + 2) : c.says} : c))]);
  return h('div', {class: 'scroll'}, h('table', {class: 'claims'}, h('thead', {}, h('tr', {}, ['', 'claim', 'bound', 'seen', 'margin', 'at'].map(v => h('th', {scope: 'col'}, v)))), h('tbody', {}, body)));
}

function facts(result) {
  const pair = (name, value, title) => value === null || value === undefined || value === '' ? null : h('div', {title}, h('dt', {}, name), h('dd', {}, value));
  const speed = isNum(result.sim_seconds) && isNum(result.wall_seconds) && result.wall_seconds > 0 ? `${num(result.sim_seconds / result.wall_seconds)} × real` : null;
  return h('dl', {class: 'facts'},
    result.sweep ? pair('seeds', result.sweep.seeds) : pair('seed', String(result.seed)),
    pair('fingerprint', result.fingerprint ? h('code', {}, result.fingerprint.slice(0, 16), result.fingerprint.length > 16 ? '…' : '') : null, result.fingerprint),
    pair('checked', result.checked === true ? 'a second run agreed' : result.checked === false ? 'a second run differed' : null),
    pair('version', result.version), pair('host kind', result.host), pair('hosts', isNum(result.hosts) ? num(result.hosts) : null),
    pair('simulated', isNum(result.sim_seconds) ? clock(result.sim_seconds * 1000) : null), pair('wall', isNum(result.wall_seconds) ? num(result.wall_seconds) + ' s' + (speed ? ', ' + speed : '') : null),
    pair('events', isNum(result.events) ? short(result.events) : null), pair('packets', isNum(result.packets) ? short(result.packets) : null), pair('bytes', isNum(result.bytes) ? bytes(result.bytes) : null),
    pair('memory', isNum(result.peak_rss_bytes) ? bytes(result.peak_rss_bytes) : null));
}

function assumptions(result) {
  const items = list(result.assumed);
  return h('div', {class: 'card'}, h('h3', {}, 'What was assumed'), items.length ? h('ul', {class: 'plain'}, items.map(a => h('li', {}, a.says || '', a.source ? h('small', {}, a.source) : null,
    list(a.drawn).length ? h('div', {class: 'scroll'}, h('table', {class: 'values drawn'}, h('thead', {}, h('tr', {}, ['', 'hosts', 'drawn', 'expected'].map(v => h('th', {scope: 'col'}, v)))),
      h('tbody', {}, a.drawn.slice(0, 60).map(d => h('tr', {}, h('td', {}, d.name), h('td', {}, isNum(d.count) ? num(d.count) : ''), h('td', {}, h('span', {class: 'share'}, h('i', {style: `width:${Math.max(0, Math.min(100, 100 * (d.share || 0)))}%`}), isNum(d.expected) ? h('u', {style: `left:${Math.max(0, Math.min(100, 100 * d.expected))}%`}) : null), percent(d.share)), h('td', {}, percent(d.expected))))))) : null))) : h('p', {class: 'muted'}, 'Nothing that the file does not state.'));
}
function failsWhen(result) {
  const items = list(result.fails_when);
  return h('div', {class: 'card'}, h('h3', {}, 'What makes it fail'), items.length ? h('ul', {class: 'plain'}, items.map(f => h('li', {}, h('span', {class: 'badge ' + (f.proved === true ? 'held' : f.proved === false ? 'failed' : 'undecided')}, f.proved === true ? '✓ proved' : f.proved === false ? '✕ it held all the same' : 'not proved in this run'), ' ', f.says || '', f.claim ? h('small', {}, 'breaks: ' + f.claim + (f.in && f.in.length ? ` (in ${[].concat(f.in).join(', ')})` : '')) : null,
    f.set && typeof f.set === 'object' ? h('code', {class: 'set'}, Object.entries(f.set).map(([k, v]) => `${k} = ${typeof v === 'string' ? v : JSON.stringify(v)}`).join(', ')) : null))) : h('p', {class: 'muted'}, 'The file names nothing.'));
}
function metricsTable(result) {
  const rows = Object.entries(result.metrics || {}).sort();
  if (!rows.length) return null;
  const columns = ['count', 'total', 'mean', 'min', 'p50', 'p95', 'p99', 'max'].filter(c => rows.some(([, m]) => isNum(m[c])));
  return h('details', {class: 'card wide'}, h('summary', {}, h('h3', {}, `All ${rows.length} metrics`)), h('div', {class: 'scroll'}, h('table', {class: 'values'}, h('thead', {}, h('tr', {}, ['metric', ...columns, ''].map(v => h('th', {scope: 'col'}, v)))), h('tbody', {}, rows.map(([k, m]) => h('tr', {}, h('td', {}, h('code', {}, k)), columns.map(c => h('td', {}, num(m[c]))), h('td', {}, m.unit || '')))))));
}

// ---- The network ----
function networkSection(part, replay) {
  const t = part.topology;
  if (!t) return part.shown ? null : section('network', 'The network', `Drawings are shown of ${DATA.runs.length > 1 || list(DATA.runs[0].parts).length ? 'a dozen parts, failed ones first' : 'some parts'}; for this one: orchard report ${part.dir}`, h('span'));
  const template = document.getElementById('drawing-' + part.index), svg = template ? template.content.firstElementChild.cloneNode(true) : null, sums = t.sums, nats = list(t.nats);
  const classes = new Map();
  for (const [label, n] of Object.entries(sums.nat)) { const k = natClass(label, nats); classes.set(k, (classes.get(k) || 0) + n); }
  const legend = h('ul', {class: 'legend nat'}, Object.entries(NATS).filter(([k]) => classes.get(k)).map(([k, [colour, kind, words]]) => h('li', {}, shape(kind, colour), words, h('b', {}, num(classes.get(k))))),
    sums.bootstraps ? h('li', {}, shape('star', 'var(--boot)'), 'bootstrap', h('b', {}, num(sums.bootstraps))) : null,
    list(t.hosts).some(v => v.runs === 'web') ? h('li', {}, shape('cylinder', '#F0E442'), 'web origin') : null);
  const caption = sums.hosts > 1000 ? 'A node is all hosts of one NAT class in one region, its area their number' + (list(t.flows).length ? '; a line’s width is how often they spoke.' : '.') + (list(t.worst).length ? ' Around it stand the hosts that fared worst.' : '')
    : sums.hosts > 24 ? (sums.hosts > 150 ? 'A disc is a region, a dot a host: public ones in its middle, ever harder NATs outwards.' + (svg && svg.querySelector('.path') ? ' Lines: only what a claim speaks of, and what failed.' : '') : 'A disc is a region: public hosts in its middle, ever harder NATs outwards.' + (list(t.edges).length ? ' Lines join each host with those it spoke to most.' : ''))
      : 'From the world through each box to its host. A box says how it maps and filters (EI endpoint-independent, AD by address, AP by address and port).';
  if (svg) {
    const watched = list(t.hosts).map((v, i) => v.spans ? [svg.querySelector(`[id="h${i}"]`), v.spans, v.up === false] : null).filter(v => v && v[0]);
    const paths = list(t.edges).map((e, i) => isNum(e.first_ms) ? [svg.querySelector(`[id="e${i}"]`), e.first_ms] : null).filter(v => v && v[0]);
    if (watched.length || paths.length) instant.listeners.push(at => {
      for (const [g, spans, dead] of watched) g.classList.toggle('dead', at === null ? dead : !spans.some(([a, b]) => at >= (a || 0) && (!isNum(b) || at < b)));
      for (const [g, first] of paths) g.style.opacity = at !== null && at < first ? 0 : '';
    });
    svg.removeAttribute('role');
    svg.setAttribute('role', 'group');
  }
  const box = b => [b.mapping || b.filtering ? `${b.mapping}/${b.filtering}` : b.preset, b.ports, isNum(b.idle_ms) && b.idle_ms ? 'idle ' + ms(b.idle_ms) : '', b.hairpin ? 'hairpin' : ''].filter(Boolean).join(' · ');
  const total = sums.hosts || 1;
  const natTable = nats.length ? h('div', {class: 'card'}, h('h3', {}, 'Behind what they stand'), h('div', {class: 'scroll'}, h('table', {class: 'values'}, h('thead', {}, h('tr', {}, ['', 'NAT', 'hosts', 'mapping/filtering', 'dropped', 'refused'].map(v => h('th', {scope: 'col'}, v)))),
    h('tbody', {}, nats.slice().sort((a, b) => (b.hosts || 0) - (a.hosts || 0)).slice(0, 40).map(n => { const k = NATS[natClass(n.label, nats)]; return h('tr', {}, h('td', {}, shape(k[1], k[0])), h('td', {}, n.label), h('td', {class: 'nowrap'}, num(n.hosts), h('small', {}, ' ' + percent((n.hosts || 0) / total))), h('td', {}, list(n.chain).map(box).join(' → ') || 'public'), h('td', {}, isNum(n.filtered) ? short(n.filtered) : ''), h('td', {}, isNum(n.refused) ? short(n.refused) : '')); }))))) : null;
  const linkTable = list(t.links).length ? h('div', {class: 'card'}, h('h3', {}, 'Links'), h('div', {class: 'scroll'}, h('table', {class: 'values'}, h('thead', {}, h('tr', {}, ['link', 'hosts', 'down', 'up', 'one way', 'queue'].map(v => h('th', {scope: 'col'}, v)))), h('tbody', {}, t.links.slice(0, 40).map(l => h('tr', {}, h('td', {}, l.name), h('td', {}, num(l.hosts)), h('td', {}, isNum(l.down_bps) ? short(l.down_bps) + 'bps' : '–'), h('td', {}, isNum(l.up_bps) ? short(l.up_bps) + 'bps' : '–'), h('td', {}, ms(l.delay_ms)), h('td', {}, ms(l.queue_ms)))))))) : null;
  const degree = t.degree && list(t.degree.counts).length ? figure(sums.hosts > 24 ? 'Sizes of routing tables' : 'Routing tables', 'Hosts by the number of nodes that they know.', barChart({counts: t.degree.counts, from: t.degree.from || 0, width: t.degree.width || 1, xName: 'nodes known'}), replay) : null;
  const pairs = list(t.edges).length > 1 && list(t.hosts).length > 2 && t.hosts.length <= 96 ? figure('Who answered whom', 'A cell is a pair of hosts, darker the more often; hosts by region and NAT.', pairChart(t), replay) : null;
  const failed = list(t.failed).length ? h('div', {class: 'card'}, h('h3', {}, 'Who could not reach whom'), h('div', {class: 'scroll'}, h('table', {class: 'values'}, h('tbody', {}, t.failed.slice(0, 100).map(f => h('tr', {}, h('td', {}, f.from), h('td', {}, f.to), h('td', {}, f.why), h('td', {}, num(f.count)))))))) : null;
  const worst = list(t.worst).length ? h('div', {class: 'card'}, h('h3', {}, 'Hosts that fared worst'), h('div', {class: 'scroll'}, h('table', {class: 'values'}, h('tbody', {}, t.worst.slice(0, 20).map(w => h('tr', {}, h('td', {}, w.host), h('td', {}, w.says))))))) : null;
  const joined = list(t.connections).length ? [] : list(t.edges).filter(e => e.kind !== 'dht').slice(0, 200);  // Told pair by pair above.
  const pairsTable = joined.length ? h('div', {class: 'card wide'}, h('h3', {}, 'Connections'), h('div', {class: 'scroll'}, h('table', {class: 'values'}, h('thead', {}, h('tr', {}, ['pair', 'path', 'times', 'p50', 'first', 'last'].map(v => h('th', {scope: 'col'}, v)))), h('tbody', {}, joined.map(e => h('tr', {class: e.kind === 'failed' ? 'failed' : ''}, h('td', {}, `${t.hosts[e.a].id} – ${t.hosts[e.b].id}`), h('td', {}, e.kind, t.hosts[e.relay] ? ' through ' + t.hosts[e.relay].id : ''), h('td', {}, num(e.count)), h('td', {}, ms(e.p50_ms)), h('td', {}, atButton(e.first_ms)), h('td', {}, atButton(e.last_ms)))))))) : null;
  return section('network', 'The network', null,
    h('figure', {class: 'card wide drawing'}, h('figcaption', {}, h('h3', {}, `${num(sums.hosts)} hosts in ${Object.keys(sums.region).length} region${Object.keys(sums.region).length === 1 ? '' : 's'}`), h('p', {}, caption)), part.note ? h('p', {class: 'note'}, part.note) : null, svg, legend, h('div', {class: 'card-foot'}, replayLine(replay))),
    h('div', {class: 'masonry'}, pairs, degree, natTable, linkTable, worst, failed, pairsTable));
}

// ---- What changed over time ----
function curvesSection(part, result, end, replay) {
  const S = part.series, T = part.topology;
  if (!S && !T) return null;
  const faults = list(result.moments).filter(m => m.kind === 'fault'), used = new Set(['cage.requests', 'http.get.by_start_ms']);  // Drawn beside the cages.
  const find = name => { used.add(name); return list(S && S.series).filter(v => v.name === name); };
  const words = v => Object.values(v.labels || {}).join(' ') || v.name;
  const lines = (all, name) => all.map(v => ({name: name || words(v), from: v.from_ms || 0, step: v.step_ms, values: v.values}));
  const total = v => v.values.reduce((a, b) => a + (b || 0), 0);
  const top = (all, n) => {
    const order = all.slice().sort((a, b) => total(b) - total(a));
    if (order.length <= n) return order;
    const rest = order.slice(n - 1), sum = order[0].values.map((_, i) => rest.reduce((a, v) => a + (v.values[i] || 0), 0));
    return [...order.slice(0, n - 1), {...rest[0], labels: {other: `${rest.length} others`}, values: sum}];
  };
  const chart = (title, text, series, more) => series.length ? figure(title, text, timeChart({series, faults, end, ...more}), replay) : null;
  const samples = name => list(S && S.samples).filter(v => v.name === name).sort((a, b) => Object.keys(a.labels || {}).length - Object.keys(b.labels || {}).length);
  const distribution = (title, text, name) => {
    const all = samples(name).map(v => ({name: Object.values(v.labels || {}).join(' ') || 'all', quantiles: v.quantiles, count: v.count}));
    return all.length ? figure(title, text, cdfChart({series: all.length === 2 ? all.slice(1) : all, unit: (samples(name)[0].unit) || 'ms'}), replay) : null;
  };
  const boot = lines(find('dht.bootstrapped'), 'joined'), up = lines(find('hosts.up'), 'hosts up'), live = lines(find('dht.table.live'), 'alive'), dead = lines(find('dht.table.dead'), 'down');
  if (live[0]) live[0].colour = 'var(--home)';
  if (dead[0]) dead[0].colour = 'var(--sym)';
  const hops = list(S && S.histograms).find(v => v.name === 'dht.lookup.hops');
  const okAll = find('dht.lookup.ok').sort((a, b) => Object.keys(a.labels || {}).length - Object.keys(b.labels || {}).length);
  const figures = [
    chart('Growing', 'Hosts that a node of the DHT has answered, and hosts that are up.', [...boot.slice(0, 1), ...up.slice(0, 1)]),
    distribution('How long a lookup takes', 'Share of lookups that took at most so long, by region.', 'dht.lookup_ms'),
    chart('Lookups that find', 'Share of each step’s lookups that found something.', lines(okAll).map(v => ({...v, name: v.name === 'dht.lookup.ok' ? 'all' : v.name})), {unit: 'ratio', yMax: 1.03}),
    hops ? figure('Hops of a lookup', 'Lookups by the number of rounds to the closest nodes.', barChart({counts: hops.counts, from: hops.from || 0, width: hops.width || 1, xName: 'hops'}), replay) : null,
    chart('Requests by type', 'Requests a second, all hosts together.', lines(top(find('dht.requests'), 8)), {stacked: true, yName: ''}),
    chart('Health of the routing tables', 'Entries of a mean table: nodes that are up, and nodes that are gone.', [...live.slice(0, 1), ...dead.slice(0, 1)], {stacked: true}),
    T && (T.ring || list(T.records).length) ? figure('Records on the ring', 'The id space as a circle. Outwards: nodes; inwards: records stored there. A diamond is a key, its lines lead to its holders.', ringChart(T.ring, T.records), replay) : null,
    distribution('How long joining takes', 'Share of hosts whose first walk to their own neighbourhood was over within so long.', 'dht.join_ms'),
    distribution('How long the first answer takes', 'Share of hosts that were answered within so long.', 'dht.bootstrap_ms'),
    chart('Records held', 'By all nodes together.', lines(top(find('dht.records'), 8)), {stacked: true}),
    chart('Packets lost, by cause', 'A second, all hosts together.', lines(top(find('link.drops'), 8)), {stacked: true}),
    chart('What each uplink brings', 'Downloads over the pod: Mbit/s of the body, by the uplink that fetched it.', lines(find('pod.link_mbps')), {stacked: true, unit: 'mbps'}),
    chart('What clients get', 'Mbit/s of bodies, by host.', lines(find('http.get_mbps')), {unit: 'mbps'}),
    chart('Traffic', 'Packets a second, all hosts together.', lines(find('net.packets'), 'packets'), {}),
    chart('Bytes', 'A second, all hosts together.', lines(find('net.bytes'), 'bytes'), {unit: 'bytes'})];
  const rest = new Map();
  for (const v of list(S && S.series)) if (!used.has(v.name)) rest.set(v.name, [...rest.get(v.name) || [], v]);
  for (const [name, all] of [...rest].slice(0, 24)) figures.push(chart(name, {rate: 'a second', total: 'since the start'}[all[0].kind] || null, lines(top(all, 8)), {unit: all[0].unit}));
  for (const v of list(S && S.samples)) {
    if (['dht.lookup_ms', 'dht.join_ms', 'dht.bootstrap_ms'].includes(v.name) || used.has('s:' + v.name)) continue;
    used.add('s:' + v.name);
    figures.push(distribution(v.name, null, v.name));
  }
  for (const v of list(S && S.histograms)) if (v !== hops) figures.push(figure(v.name + ' ' + Object.values(v.labels || {}).join(' '), null, barChart({counts: v.counts, from: v.from || 0, width: v.width || 1, unit: v.unit}), replay));
  const shown = figures.filter(Boolean);
  return shown.length ? section('curves', 'What happened', 'Shaded: while a fault lasted. Click a curve to move the marker in every chart; the values at that instant appear below each.', h('div', {class: 'masonry'}, shown)) : null;
}
