'use strict';
// Everything that comes from a run reaches the page as text or as a number: nodes are made by h() and s(), never parsed from strings.
const SVG = 'http://www.w3.org/2000/svg';
function fill(node, attrs, children) {
  for (const [k, v] of Object.entries(attrs || {})) {
    if (v === null || v === undefined || v === false) continue;
    if (k.startsWith('on')) node.addEventListener(k.slice(2), v);
    else node.setAttribute(k, v === true ? '' : v);
  }
  for (const c of children.flat(4)) if (c !== null && c !== undefined && c !== false) node.append(c);
  return node;
}
const h = (tag, attrs, ...children) => fill(document.createElement(tag), attrs, children);
const s = (tag, attrs, ...children) => fill(document.createElementNS(SVG, tag), attrs, children);
const list = v => Array.isArray(v) ? v : [];
const isNum = v => typeof v === 'number' && isFinite(v);

// ---- Words for numbers ----
const trim = (v, d) => String(Number(v.toFixed(d)));
function num(v) {
  if (!isNum(v)) return '–';
  const a = Math.abs(v);
  if (a >= 1e12) return v.toExponential(2);
  if (a >= 1e4) return Math.round(v).toLocaleString('en-US');
  return a >= 100 ? trim(v, 0) : a >= 10 ? trim(v, 1) : a >= 1 ? trim(v, 2) : a === 0 ? '0' : trim(v, 3);
}
function short(v) {
  const a = Math.abs(v);
  return a >= 1e9 ? trim(v / 1e9, 1) + ' G' : a >= 1e6 ? trim(v / 1e6, 1) + ' M' : a >= 1e4 ? trim(v / 1e3, a >= 1e5 ? 0 : 1) + ' k' : num(v);
}
function bytes(v) {
  const a = Math.abs(v);
  return a >= 2 ** 30 ? trim(v / 2 ** 30, 2) + ' GiB' : a >= 2 ** 20 ? trim(v / 2 ** 20, 1) + ' MiB' : a >= 1024 ? trim(v / 1024, 1) + ' KiB' : num(v) + ' B';
}
function ms(v) {
  if (!isNum(v)) return '–';
  return Math.abs(v) < 1000 ? num(v) + ' ms' : Math.abs(v) < 1e5 ? trim(v / 1000, Math.abs(v) < 1e4 ? 2 : 1) + ' s' : clock(v);
}
// An instant of the run: 45 s, 2:15, 1:02:15.
function clock(v) {
  if (!isNum(v)) return '–';
  const sec = v / 1000;
  if (sec < 60) return trim(sec, sec < 10 && sec % 1 ? 2 : sec % 1 ? 1 : 0) + ' s';
  const whole = Math.floor(sec), two = n => String(n).padStart(2, '0');
  const tail = sec - whole > 0.05 ? '.' + Math.floor((sec - whole) * 10) : '';
  return whole >= 3600 ? Math.floor(whole / 3600) + ':' + two(Math.floor(whole / 60) % 60) + ':' + two(whole % 60) : Math.floor(whole / 60) + ':' + two(whole % 60) + tail;
}
function withUnit(v, unit) {
  if (!isNum(v)) return '–';
  if (unit === 'ms') return ms(v);
  if (unit === 'bytes') return bytes(v);
  if (unit === 'ratio' || unit === '%') return trim(v * (unit === '%' ? 1 : 100), 1) + ' %';
  return num(v) + (unit ? ' ' + unit : '');
}
const percent = v => isNum(v) ? trim(100 * v, 1) + ' %' : '–';

// ---- One instant for the whole page ----
const instant = {t: null, listeners: [], set(t) {
  this.t = t;
  for (const l of this.listeners) l(t);
}};

// ---- Tooltip ----
const tip = h('div', {class: 'tip', role: 'status', hidden: true});
function showTip(event, lines) {
  tip.replaceChildren(...lines.map((l, i) => l instanceof Node ? l : h('div', {class: i ? '' : 'tip-head'}, l)));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const x = Math.min(event.clientX + 14, innerWidth - box.width - 8), y = event.clientY + 16 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 16;
  tip.style.left = Math.max(4, x) + 'px';
  tip.style.top = Math.max(4, y) + 'px';
}
const hideTip = () => { tip.hidden = true; };
const hover = (node, lines) => { node.addEventListener('pointermove', e => showTip(e, lines())); node.addEventListener('pointerleave', hideTip); return node; };

// ---- Colours that every reader can tell apart (Okabe & Ito); a dash or shape repeats each ----
const PALETTE = ['var(--c1)', 'var(--c2)', 'var(--c3)', 'var(--c4)', 'var(--c5)', 'var(--c6)', 'var(--c7)', 'var(--c8)'];
const DASHES = ['', '7 3', '2 2.5', '9 3 2 3', '4 2', '1.5 3', '12 4', '6 2 1.5 2 1.5 2'];
const NATS = {
  'nat-open': ['var(--open)', 'circle', 'public'], 'nat-home': ['var(--home)', 'house', 'home NAT'], 'nat-cgn': ['var(--cgn)', 'pentagon', 'carrier NAT'],
  'nat-chain': ['var(--chain)', 'double', 'NAT behind NAT'], 'nat-sym': ['var(--sym)', 'invhouse', 'symmetric NAT'], 'nat-blocked': ['var(--blocked)', 'square', 'UDP blocked']};
function natClass(label, nats) {
  if (!label || label === 'open') return 'nat-open';
  const known = list(nats).find(n => n.label === label), chain = list(known && known.chain);
  if (label.startsWith('udp-blocked')) return 'nat-blocked';
  if (chain.length === 1) {
    if (chain[0].mapping === 'block' || chain[0].filtering === 'block') return 'nat-blocked';
    if (chain[0].mapping === 'AD' || chain[0].mapping === 'AP') return 'nat-sym';
  }
  if (label.includes('+') || chain.length > 1) return 'nat-chain';
  return label.startsWith('symmetric') ? 'nat-sym' : label.startsWith('cgn') ? 'nat-cgn' : 'nat-home';
}
// The mark of a shape, 14 × 14.
function shape(kind, colour) {
  const paths = {circle: 'M7 1.5a5.5 5.5 0 1 0 .01 0z', house: 'M7 1L13 5.5V13H1V5.5z', pentagon: 'M7 1L13 5.6L10.7 13H3.3L1 5.6z', double: 'M7 .5L13.5 5.3V13.5H.5V5.3zM7 2.2L12.2 6V12.2H1.8V6zM7 3.8L10.8 6.7V10.8H3.2V6.7z',
    invhouse: 'M1 1H13V8.5L7 13L1 8.5z', square: 'M2 2H12V12H2z', star: 'M7 .5L8.8 5H13.5L9.8 8L11.2 13L7 10L2.8 13L4.2 8L.5 5H5.2z', diamond: 'M7 .5L13.5 7L7 13.5L.5 7z', cylinder: 'M2 3C2 .6 12 .6 12 3V11C12 13.4 2 13.4 2 11z'};
  return s('svg', {class: 'mark', viewBox: '0 0 14 14', 'aria-hidden': 'true'}, s('path', {d: paths[kind], fill: colour, 'fill-rule': kind === 'double' ? 'evenodd' : null}));
}

// ---- Axes ----
function ticks(lo, hi, want) {
  const span = hi - lo || 1, raw = span / want, mag = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map(m => m * mag).find(m => m >= raw) || raw, out = [];
  for (let v = Math.ceil(lo / step - 1e-9) * step; v <= hi + step * 1e-9 && out.length < 40; v += step) out.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return out;
}
function timeTicks(lo, hi, want) {
  const steps = [100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 144e5, 216e5, 432e5, 864e5, 864e6];
  const step = steps.find(v => v >= (hi - lo) / want) || (hi - lo) / want || 1, out = [];
  for (let v = Math.ceil(lo / step) * step; v <= hi && out.length < 40; v += step) out.push(v);
  return out;
}
const logTicks = (lo, hi) => {
  const out = [];
  for (let e = Math.floor(Math.log10(lo)); e <= Math.ceil(Math.log10(hi)); ++e) for (const m of [1, 2, 5]) if (m * 10 ** e >= lo * 0.999 && m * 10 ** e <= hi * 1.001) out.push(m * 10 ** e);
  return out;
};
