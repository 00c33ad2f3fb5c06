// Runs the program of a report.html on a document of its own, moves the instant and opens each part: fails if anything throws, if a figure
// holds NaN, or if a text from the run became an element. Prints the page's text. usage: node page_check.js report.html
'use strict';
const html = require('fs').readFileSync(process.argv[2], 'utf8');
const between = (from, to, at = 0) => { const a = html.indexOf(from, at) + from.length; return html.slice(a, html.indexOf(to, a)); };
const data = between('<script type="application/json" id="data">', '</script>'), program = html.slice(html.lastIndexOf('<script>') + 8, html.lastIndexOf('</script>'));
const bad = [], all = [];
const KNOWN = /^(html|body|br|div|span|section|header|footer|h1|h2|h3|p|em|b|i|u|code|small|button|ul|li|dl|dt|dd|table|thead|tbody|tr|th|td|figure|figcaption|details|summary|select|option|svg|g|path|rect|circle|line|text|title|style|polygon|ellipse|polyline)$/;
class Node {}
class Element extends Node {
  constructor(tag) {
    super();
    Object.assign(this, {tag, attrs: {}, children: [], on: {}, style: {}, classes: new Set(), hidden: false});
    this.classList = {toggle: (c, on) => on ? this.classes.add(c) : this.classes.delete(c), add: c => this.classes.add(c)};
    if (!KNOWN.test(tag)) bad.push('an element <' + tag + '>');
    all.push(this);
  }
  setAttribute(k, v) {
    if (/^on|^(src|href|srcdoc)$/.test(k)) bad.push(`an attribute ${k}`);
    if (/NaN|undefined|Infinity/.test(String(v))) bad.push(`<${this.tag} ${k}="${v}">`);
    this.attrs[k] = String(v);
  }
  removeAttribute(k) { delete this.attrs[k]; }
  append(...c) { for (const v of c) this.children.push(v instanceof Node ? v : String(v)); }
  replaceChildren(...c) { this.children = []; this.append(...c); }
  addEventListener(k, f) { (this.on[k] = this.on[k] || []).push(f); }
  fire(k, e = {}) { for (const f of this.on[k] || []) f({clientX: 100, clientY: 90, pointerId: 1, preventDefault() {}, target: this, ...e}); }
  getBoundingClientRect() { return {left: 0, top: 0, width: 600, height: 250}; }
  querySelector() { return null; }
  scrollIntoView() {}
  setPointerCapture() {}
  set textContent(v) { this.children = [String(v)]; }
  get textContent() { return this.children.map(c => c instanceof Element ? c.textContent : c).join(' '); }
  set innerHTML(v) { bad.push('innerHTML was set'); }
  get open() { return true; }
  get firstElementChild() { return new Element('svg'); }
  cloneNode() { return new Element('svg'); }
}
const app = new Element('div'), dataNode = new Element('div');
dataNode.textContent = data;
global.Node = Node;
global.innerWidth = global.innerHeight = 1000;
global.location = {hash: '#t=1'};
global.addEventListener = () => {};
Object.defineProperty(global, 'navigator', {value: {}, configurable: true});
global.document = {
  createElement: t => new Element(t), createElementNS: (_, t) => new Element(t),
  getElementById: id => id === 'app' ? app : id === 'data' ? dataNode : html.includes(`<template id="${id}">`) ? {content: {firstElementChild: new Element('svg')}} : null};
new Function(program)();
let text = app.textContent;
for (const e of all.slice()) if (e.tag === 'button' && /tab/.test(e.attrs.role || '')) { e.fire('click'); text += app.textContent; }
for (const e of all.slice()) { e.fire('pointermove'); e.fire('pointerdown'); e.fire('toggle'); e.fire('keydown', {key: 'ArrowRight'}); e.fire('pointerleave'); }
text += app.textContent;
if (/\bNaN\b|undefined|\[object/.test(text)) bad.push('the text says ' + /.{30}(NaN|undefined|\[object).{30}/s.exec(text));
if (bad.length) { console.error([...new Set(bad)].slice(0, 10).join('\n')); process.exit(1); }
console.log(text);
