// ---- Several parts side by side, and the page ----
const DATA = JSON.parse(document.getElementById('data').textContent);
const PARTS = DATA.runs.flatMap((run, r) => run.parts.map(p => ({...p, run, result: p.result || run.result})));
const twice = new Set(PARTS.map(p => p.label).filter((v, i, a) => a.indexOf(v) !== i));
// The axes of RFC 4787 by their letters, as the drawings have them.
const brief = v => String(v).replace(/endpoint-independent/g, 'EI').replace(/address-and-port-dependent/g, 'AP').replace(/address-dependent/g, 'AD');
for (const p of PARTS) {
  const folder = p.run.dir.replace(/\/+$/, '').split('/').pop();
  p.title = brief(DATA.runs.length > 1 && p.run.parts.length > 1 ? `${folder}: ${p.label}` : twice.has(p.label) ? (DATA.runs.length > 1 ? folder : `${p.label} ${p.index + 1}`) : p.label);
}
const shellWord = v => /^[\w.\/:=+-]+$/.test(v) ? v : "'" + String(v).replace(/'/g, "'\\''") + "'";
const replayOf = p => p.result.replay || `orchard sim ${shellWord(p.result.scenario)} --seed ${p.result.seed}${p.result.case ? ' --case ' + shellWord(p.result.case) : ''}`;

// Cases named `row|column` are a matrix even if the run did not write one; what was seen in a cell is then only whether its claims held.
const replayOfRun = run => run.result.replay || `orchard sim ${shellWord(run.result.scenario)} --seed ${run.result.seed}`;
function matrixOf(run) {
  if (run.result.matrix) return run.result.matrix;
  const cases = list(run.result.cases).filter(c => /^[^|]+\|[^|]+$/.test(c.name));
  if (cases.length < 4) return null;
  const rows = [...new Set(cases.map(c => c.name.split('|')[0]))], columns = [...new Set(cases.map(c => c.name.split('|')[1]))], key = {};
  for (const c of cases) if (c.cell) key[c.cell.slice(0, 1).toUpperCase()] = c.cell;
  return {rows: {path: '', values: rows}, columns: {path: '', values: columns}, key, cells: rows.map(r => columns.map(k => {
    const c = cases.find(v => v.name === r + '|' + k);
    return c ? {case: c.name, expected: c.cell ? c.cell.slice(0, 1).toUpperCase() : c.passed ? '✓' : '✕', passed: c.passed} : null;
  }))};
}
function matrixSection(run, choose) {
  const m = matrixOf(run);
  if (!m) return null;
  const rows = list(m.rows && m.rows.values), columns = list(m.columns && m.columns.values), word = v => Array.isArray(v) ? v.join('+') : typeof v === 'object' ? JSON.stringify(v) : String(v);
  const cells = m.cells.flat().filter(Boolean), right = cells.filter(c => c.passed !== false && (c.seen === undefined || c.expected === undefined || c.seen === null || c.seen === c.expected)).length;
  const keys = Object.entries(m.key || {}), colour = new Map(keys.map(([k], i) => [k, PALETTE[[2, 5, 3, 0, 6, 1, 4, 7][i % 8]]]));
  return section('matrix', 'Matrix', `${right} of ${cells.length} cells as expected.${m.rows && m.rows.path ? ` Rows: ${m.rows.path}; columns: ${(m.columns || {}).path || ''}.` : ''}`,
    h('div', {class: 'card wide'}, h('div', {class: 'scroll'}, h('table', {class: 'matrix'}, h('thead', {}, h('tr', {}, h('td'), columns.map(c => h('th', {scope: 'col', title: word(c)}, brief(word(c)))))),
      h('tbody', {}, m.cells.map((row, i) => h('tr', {}, h('th', {scope: 'row', title: word(rows[i] ?? '')}, brief(word(rows[i] ?? ''))), list(row).map(c => {
        if (!c) return h('td');
        const differs = isSet(c.seen) && isSet(c.expected) && c.seen !== c.expected, bad = differs || c.passed === false;
        const button = h('button', {type: 'button', class: 'cell' + (bad ? ' bad' : ''), style: `--k:${colour.get(c.seen ?? c.expected) || 'var(--muted)'}`, onclick: () => { const p = PARTS.find(q => q.run === run && q.label === c.case); if (p) choose(p, true); }},
          h('b', {}, differs ? `${c.seen}≠${c.expected}` : c.seen ?? c.expected ?? '·'), isNum(c.p50_ms) ? h('small', {}, ms(c.p50_ms)) : null);
        return h('td', {}, hover(button, () => [c.case || '', `seen ${m.key && m.key[c.seen] || c.seen || '–'}, expected ${m.key && m.key[c.expected] || c.expected || '–'}`, isNum(c.p50_ms) ? 'p50 ' + ms(c.p50_ms) : '']));
      })))))), h('ul', {class: 'legend'}, keys.map(([k, v]) => h('li', {}, h('span', {class: 'cell key', style: `--k:${colour.get(k)}`}, k), v))), h('div', {class: 'card-foot'}, replayLine(replayOfRun(run)))));
}
const isSet = v => v !== null && v !== undefined;

function compareSection(choose) {
  if (PARTS.length < 2) return null;
  const names = [...new Set(PARTS.flatMap(p => list(p.result.claims).map(c => c.says)))], few = PARTS.length <= 12;
  const of = (p, says) => list(p.result.claims).find(c => c.says === says);
  const table = few ? h('div', {class: 'card wide'}, h('h3', {}, 'Claims, side by side'), h('div', {class: 'scroll'}, h('table', {class: 'values compare'},
    h('thead', {}, h('tr', {}, h('th', {scope: 'col'}, 'claim'), PARTS.map(p => h('th', {scope: 'col'}, h('button', {type: 'button', class: 'plain-button', onclick: () => choose(p, true)}, p.title))))),
    h('tbody', {}, names.map(says => h('tr', {}, h('th', {scope: 'row'}, says), PARTS.map(p => { const c = of(p, says); return h('td', {class: c ? verdictClass(c.verdict) : ''}, c ? [h('span', {class: 'badge ' + verdictClass(c.verdict), title: c.verdict}, ICONS[verdictClass(c.verdict)]), ' ', c.observed || '', marginOf(c) ? marginBar(c) : null] : h('span', {class: 'muted'}, '–')); }))),
      [['fingerprint', p => h('code', {}, (p.result.fingerprint || '–').slice(0, 12))], ['simulated', p => isNum(p.result.sim_seconds) ? clock(p.result.sim_seconds * 1000) : '–'], ['wall', p => isNum(p.result.wall_seconds) ? num(p.result.wall_seconds) + ' s' : '–'], ['hosts', p => num(p.result.hosts)], ['packets', p => isNum(p.result.packets) ? short(p.result.packets) : '–'], ['bytes a host', p => isNum(p.result.bytes) && p.result.hosts ? bytes(p.result.bytes / p.result.hosts) : '–']]
        .map(([k, f]) => h('tr', {class: 'plain'}, h('th', {scope: 'row'}, k), PARTS.map(p => h('td', {}, f(p)))))))))
    : PARTS.length <= 48 && names.length <= 120 ? h('div', {class: 'card wide'}, h('h3', {}, 'Claims by case'), h('p', {class: 'muted'}, 'A mark says what was seen when a pointer rests on it, and opens its case.'), h('div', {class: 'scroll'}, h('table', {class: 'values by-case'},
      h('thead', {}, h('tr', {}, h('th', {scope: 'col'}, 'claim'), PARTS.map(p => h('th', {scope: 'col'}, h('button', {type: 'button', class: 'plain-button', onclick: () => choose(p, true)}, p.title))))),
      h('tbody', {}, names.map(says => h('tr', {}, h('th', {scope: 'row'}, says), PARTS.map(p => { const c = of(p, says); return h('td', {}, c ? hover(h('button', {type: 'button', class: 'badge ' + verdictClass(c.verdict), 'aria-label': `${p.title}: ${c.verdict}, ${c.observed || ''}`, onclick: () => choose(p, true)}, ICONS[verdictClass(c.verdict)]), () => [p.title, says, `${c.verdict}: ${c.observed || ''}`, c.expected ? 'expected ' + c.expected : '']) : null); })))))))
    : h('div', {class: 'card wide'}, h('h3', {}, `${PARTS.length} parts`), h('div', {class: 'scroll tall'}, h('table', {class: 'values'}, h('tbody', {}, PARTS.slice(0, 400).map(p => h('tr', {class: p.passed === false || p.result.passed === false ? 'failed' : ''}, h('td', {}, badge(p.result.passed ? 'held' : 'failed')), h('td', {}, h('button', {type: 'button', class: 'plain-button', onclick: () => choose(p, true)}, p.title)), h('td', {}, `${list(p.result.claims).filter(c => c.verdict === 'held').length} of ${list(p.result.claims).length}`), h('td', {}, replayLine(replayOf(p)))))))));
  const shown = PARTS.filter(p => p.series).slice(0, 8), replay = DATA.runs.map(replayOfRun).join(' ; ');
  const pooled = (p, name) => list(p.series.samples).filter(v => v.name === name).sort((a, b) => Object.keys(a.labels || {}).length - Object.keys(b.labels || {}).length)[0];
  const cdf = (title, name) => { const all = shown.filter(p => pooled(p, name)).map(p => ({name: p.title, quantiles: pooled(p, name).quantiles, count: pooled(p, name).count})); return all.length > 1 ? figure(title, null, cdfChart({series: all, unit: 'ms'}), replay) : null; };
  const growth = shown.map(p => { const v = list(p.series.series).find(q => q.name === 'dht.bootstrapped'); return v && p.result.hosts ? {name: p.title, from: v.from_ms || 0, step: v.step_ms, values: v.values.map(q => isNum(q) ? q / p.result.hosts : null)} : null; }).filter(Boolean);
  const end = Math.max(...shown.map(p => endOf(p.result, p.series)), 1000);
  const shared = [...new Set(PARTS.flatMap(p => Object.keys(p.result.metrics || {})))].filter(k => PARTS.filter(p => (p.result.metrics || {})[k] && isNum(p.result.metrics[k].p50)).length > 1).sort().slice(0, 24);
  const metric = few && shared.length ? h('div', {class: 'card wide'}, h('h3', {}, 'Metrics, side by side'), h('p', {class: 'muted'}, 'p50, and p95 in small; the bar is the share of the row’s largest p50.'), h('div', {class: 'scroll'}, h('table', {class: 'values compare'}, h('thead', {}, h('tr', {}, h('th', {}, ''), PARTS.map(p => h('th', {scope: 'col'}, p.title)))),
    h('tbody', {}, shared.map(k => { const most = Math.max(...PARTS.map(p => ((p.result.metrics || {})[k] || {}).p50 || 0), 1e-12); return h('tr', {}, h('th', {scope: 'row'}, h('code', {}, k)), PARTS.map(p => { const m = (p.result.metrics || {})[k]; return h('td', {}, m && isNum(m.p50) ? [h('span', {class: 'share'}, h('i', {style: `width:${Math.max(0, 100 * m.p50 / most)}%`})), num(m.p50), isNum(m.p95) ? h('small', {}, ' ' + num(m.p95)) : null] : '–'); })); }))))) : null;
  return section('compare', 'Side by side', null, table, h('div', {class: 'grid'}, cdf('How long a lookup takes', 'dht.lookup_ms'), growth.length > 1 ? figure('Growing', 'Share of the hosts that a node has answered.', timeChart({series: growth, end, unit: 'ratio', yMax: 1.03}), replay) : null), metric);
}

function main() {
  const app = document.getElementById('app'), body = h('div', {id: 'part'}), results = DATA.runs.map(r => r.result), passed = results.every(r => r.passed);
  const whole = results.length === 1 ? results[0] : {passed, claims: DATA.runs.flatMap(r => list(r.result.claims).map(c => ({...c, case: [r.name, c.case].filter(Boolean).join(' ')})))};
  const chips = PARTS.length > 1 ? h('div', {class: 'parts', role: 'tablist', 'aria-label': 'Runs and cases'}, PARTS.length <= 24 ? PARTS.map(p => p.chip = h('button', {type: 'button', role: 'tab', class: p.result.passed ? 'held' : 'failed', onclick: () => choose(p)}, p.result.passed ? '✓ ' : '✕ ', p.title))
    : h('select', {'aria-label': 'Part', onchange: e => choose(PARTS[e.target.selectedIndex])}, PARTS.map(p => p.option = h('option', {}, (p.result.passed ? '✓ ' : '✕ ') + p.title)))) : null;
  const clockChip = h('button', {type: 'button', class: 'clock-chip', hidden: true, title: 'Take the marker away (Escape)', onclick: () => instant.set(null)});
  let constant = null;
  function choose(part, scroll) {
    if (constant === null) constant = instant.listeners.slice();
    instant.listeners = constant.slice();
    for (const p of PARTS) { if (p.chip) p.chip.setAttribute('aria-selected', p === part); if (p.option) p.option.selected = p === part; }
    const result = part.result, end = endOf(result, part.series), replay = replayOf(part);
    body.replaceChildren(...[
      PARTS.length > 1 ? h('header', {class: 'part-head'}, h('h2', {}, part.title), result.says ? h('p', {class: 'words'}, result.says) : null, h('p', {class: 'verdict small ' + (result.passed ? 'held' : 'failed')}, verdictSentence(result)), facts(result)) : null,
      result.sweep ? null : section('claims', 'Claims', null, h('div', {class: 'card wide'}, claimTable(list(result.claims)), h('div', {class: 'card-foot'}, replayLine(replay)))),
      result.sweep ? null : section('time', 'Time', null, h('figure', {class: 'card wide'}, h('figcaption', {}, h('p', {}, 'Faults are spans, operations dots; a bracket is the window of a claim, and under it is what the claim judges, with its bound. Click, drag or use the arrow keys to choose an instant.')), ribbon(result, part.series, end), h('div', {class: 'card-foot'}, replayLine(replay)))),
      cagesSection(part, result, end, replay), connectionsSection(part, result, end, replay), networkSection(part, replay), curvesSection(part, result, end, replay),
      section('ground', 'What it rests on', null, h('div', {class: 'grid'}, assumptions(result), failsWhen(result)), list(result.notes).length ? h('div', {class: 'card wide'}, h('h3', {}, 'Notes'), h('ul', {class: 'plain'}, result.notes.map(n => h('li', {}, n)))) : null, metricsTable(result))].filter(Boolean));
    instant.set(instant.t !== null && instant.t <= end ? instant.t : null);
    if (scroll) body.scrollIntoView({behavior: 'smooth'});
  }
  instant.listeners.push(t => { clockChip.hidden = t === null; clockChip.textContent = t === null ? '' : `at ${clock(t)}  ✕`; });
  const single = results.length === 1 ? results[0] : null;
  const mark = s('svg', {class: 'logo', viewBox: '0 0 24 24', 'aria-hidden': 'true'}, s('circle', {cx: 12, cy: 9, r: 7}), s('circle', {cx: 6.5, cy: 12, r: 4.5}), s('circle', {cx: 17.5, cy: 12, r: 4.5}), s('path', {d: 'M12 10V23M12 17L8.5 13.5M12 15L15 12'}));
  app.append(h('header', {class: 'top'}, h('div', {class: 'brand'}, mark, 'Orchard', h('span', {}, single ? (DATA.runs[0].name) : `${results.length} runs`)),
    h('h1', {class: 'verdict ' + (passed ? 'held' : 'failed')}, h('span', {class: 'seal', 'aria-hidden': 'true'}, passed ? '✓' : '✕'), h('span', {}, verdictSentence(whole))),
    single && single.says ? h('p', {class: 'lede'}, single.says) : null, single ? facts(single) : null, single ? replayLine(replayOfRun(DATA.runs[0])) : null),
  ...DATA.runs.flatMap(sweepSection).filter(Boolean), ...DATA.runs.map(r => matrixSection(r, choose)).filter(Boolean), compareSection(choose) || '', chips || '', body,
  h('footer', {}, `Made by orchard report from ${DATA.runs.map(r => r.dir).join(', ')}.`), clockChip, tip);
  addEventListener('keydown', e => { if (e.key === 'Escape') instant.set(null); });
  constant = instant.listeners.slice();
  if (PARTS.length) choose(PARTS.find(p => !p.result.passed && p.shown) || PARTS[0]);
  // report.html#t=150 opens at 150 s.
  const asked = /^#t=([0-9.]+)$/.exec(location.hash);
  if (asked) instant.set(Number(asked[1]) * 1000);
}
main();
