// ---- A sweep: how sure each claim is, and which runs failed ----
// A band is the interval, the line in it what was seen, the tick the bound; each on a scale of its own that shows all three.
function intervalBar(v) {
  if (!isNum(v.low) || !isNum(v.high) || !isNum(v.share)) return h('span', {class: 'muted'}, '–');
  const bound = isNum(v.bound) ? v.bound : v.share, a = Math.min(v.low, bound), b = Math.max(v.high, bound), pad = Math.max((b - a) * 0.15, 0.005);
  const lo = Math.max(0, a - pad), hi = Math.min(1, b + pad), x = p => `${(100 * (p - lo) / (hi - lo)).toFixed(2)}%`;
  const words = `${percent(v.share)}, between ${percent(v.low)} and ${percent(v.high)}`;
  return hover(h('span', {class: 'interval ' + verdictClass(v.verdict), role: 'img', 'aria-label': words}, h('i', {style: `left:${x(v.low)};width:${(100 * (v.high - v.low) / (hi - lo)).toFixed(2)}%`}), h('b', {style: `left:${x(v.share)}`}), h('u', {style: `left:${x(bound)}`}), h('small', {}, percent(lo)), h('small', {}, percent(hi))),
    () => [words, `${v.is === 'at_most' ? 'at most' : 'at least'} ${percent(bound)} is asked`, `${num(v.hits)} of ${num(v.n)} ${v.by}`]);
}
const seedList = seeds => seeds.length ? seeds.slice(0, 12).join(', ') + (seeds.length > 12 ? ` and ${seeds.length - 12} more` : '') : '';
function moreSeeds(c) {
  const v = c.sweep;
  if (c.verdict !== 'undecided') return null;
  return isNum(v.more_seeds) ? `about ${num(v.more_seeds)} more seeds would tell` : isNum(v.more_seeds_at_best) ? `about ${num(v.more_seeds_at_best)} more seeds, if nothing else misses` : 'what was seen lies on the bound';
}
function sweepClaims(claims) {
  const row = (c, v, first) => h('tr', {class: verdictClass(v.verdict)}, h('td', {}, badge(first ? c.verdict : v.verdict)),
    h('th', {scope: 'row'}, first ? [c.case ? c.case + ': ' : '', c.says] : h('span', {class: 'muted'}, [v.stat, v.part].filter(Boolean).join(' in ') || 'in every run'), first && v.part ? h('small', {}, 'least in ' + v.part) : null, first && moreSeeds(c) ? h('small', {}, moreSeeds(c)) : null),
    h('td', {class: 'num'}, first ? c.expected || '–' : percent(v.bound)), h('td', {class: 'num'}, isNum(v.share) ? [`${num(v.hits)} of ${num(v.n)} ${v.by === 'runs' ? 'seeds' : 'samples'}`, h('small', {}, `${percent(v.share)} [${percent(v.low)}, ${percent(v.high)}]`)] : 'no sample'),
    h('td', {}, intervalBar(first ? {...v, verdict: c.verdict} : v)), h('td', {class: 'num'}, first ? seedList(list(c.sweep.failing)) : ''));
  return h('div', {class: 'scroll'}, h('table', {class: 'claims'}, h('thead', {}, h('tr', {}, ['', 'claim', 'bound', 'seen', '95 %', 'seeds in which it failed'].map(v => h('th', {scope: 'col'}, v)))),
    h('tbody', {}, claims.flatMap(c => [row(c, c.sweep, true), ...list(c.sweep.parts).slice(1, 13).map(p => row(c, p, false))]))));
}
function spreadTable(title, spread) {
  const rows = Object.entries(spread || {}).sort();
  if (!rows.length) return null;
  const three = v => list(v).length === 3 ? `${num(v[0])} · ${num(v[1])} · ${num(v[2])}` : '–';
  return h('details', {class: 'card wide'}, h('summary', {}, h('h3', {}, title)), h('p', {class: 'muted'}, 'Of each run’s percentile the least, the middle and the greatest.'), h('div', {class: 'scroll'}, h('table', {class: 'values'}, h('thead', {}, h('tr', {}, ['metric', 'p50', 'p95', 'p99'].map(v => h('th', {scope: 'col'}, v)))),
    h('tbody', {}, rows.map(([k, m]) => h('tr', {}, h('td', {}, h('code', {}, k)), ['p50', 'p95', 'p99'].map(p => h('td', {}, three(m[p])))))))));
}
function sweepSection(run) {
  const w = run.result.sweep;
  if (!w) return null;
  const claims = list(run.result.claims).filter(c => c.sweep).sort((a, b) => ['failed', 'undecided', 'held'].indexOf(a.verdict) - ['failed', 'undecided', 'held'].indexOf(b.verdict)), failing = list(w.failing), cases = list(w.cases);
  return [section('sweep', 'Over the seeds', `Seeds ${w.seeds}: ${num(w.ran)} ran${cases.length ? `, each in ${cases.length} cases` : ''}${w.missing ? `, ${num(w.missing)} runs are missing` : ''}${w.broken ? `, ${num(w.broken)} ended without a result` : ''}. Ratios are judged on the samples of all runs together, other claims by the runs in which they held.`,
      h('div', {class: 'card wide'}, sweepClaims(claims), h('div', {class: 'card-foot'}, replayLine(replayOfRun(run))))),
    failing.length ? section('failing', 'Runs that failed', `${num(w.failed_runs)} of ${num((w.runs || 0) + (w.broken || 0))}${w.failed_runs > Math.min(failing.length, 200) ? `; the first ${Math.min(failing.length, 200)}` : ''}, each with the command that repeats it.`,
      h('div', {class: 'card wide'}, h('div', {class: 'scroll tall'}, h('table', {class: 'values failing'}, h('thead', {}, h('tr', {}, ['seed', cases.length ? 'case' : null, 'what failed', 'repeat it'].filter(Boolean).map(v => h('th', {scope: 'col'}, v)))),
        h('tbody', {}, failing.slice(0, 200).map(f => h('tr', {class: 'failed'}, h('td', {}, String(f.seed)), cases.length ? h('td', {}, f.case || '') : null, h('td', {}, [...list(f.claims), ...list(f.notes)].slice(0, 6).join('; ')), h('td', {}, replayLine(f.replay || '')))))))) ) : null,
    cases.length ? section('cases', 'Cases', null, h('div', {class: 'card wide'}, h('div', {class: 'scroll'}, h('table', {class: 'values'}, h('thead', {}, h('tr', {}, ['case', 'runs', 'passed'].map(v => h('th', {scope: 'col'}, v)))), h('tbody', {}, cases.slice(0, 400).map(c => h('tr', {}, h('td', {}, c.name, c.says ? h('small', {}, ' ' + c.says) : null), h('td', {}, num(c.ran)), h('td', {}, num(c.passed)))))))), cases.slice(0, 12).map(c => spreadTable(`Percentiles over the runs of ${c.name}`, c.spread))) : spreadTable('Percentiles over the runs', w.spread)];
}
