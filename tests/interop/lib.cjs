// What the referees share: an Orchard daemon as a child process, spoken to over its IPC socket.
'use strict'
const { spawn } = require('child_process')
const fs = require('fs')
const net = require('net')
const os = require('os')
const path = require('path')
const { EventEmitter, once } = require('events')
const { createHash } = require('crypto')

const ORCHARD = process.env.REFEREE_DAEMON || path.join(__dirname, '../../build/release/node/apps/orchard')

const running = new Set()
process.on('exit', () => { for (const child of running) child.kill('SIGKILL') })

class Daemon {
  // `config` is the daemon's config file. Resolves once the daemon answers `info`.
  static async start (config) {
    const d = new Daemon()
    d.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'orchard-interop-'))
    const file = path.join(d.dir, 'node.json')
    fs.writeFileSync(file, JSON.stringify({ ...config, dht: { host: '127.0.0.1', port: 0, ...config.dht } }))
    d.child = spawn(ORCHARD, ['node', '--config', file, '--data', path.join(d.dir, 'data')], { stdio: ['ignore', 'ignore', 'pipe'] })
    running.add(d.child)
    d.log = ''
    d.child.stderr.on('data', (b) => { d.log += b })
    d.exited = once(d.child, 'exit')
    let gone = false
    d.exited.then(() => { gone = true; running.delete(d.child) })
    const socket = path.join(d.dir, 'data', 'orchard.sock')
    for (;;) {
      if (gone) throw new Error('the daemon ended: ' + d.log)
      try { await d.connect(socket); break } catch { await new Promise((resolve) => setTimeout(resolve, 20)) }
    }
    d.info = await d.call('info')
    // A node that others shall find learns its address from them, or from what it is bound to.
    while ((config.dht.bootstrap || config.dht.persistent) && !d.info.id) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      d.info = await d.call('info')
    }
    return d
  }

  async connect (socket) {
    const s = net.connect(socket)
    await once(s, 'connect')
    this.socket = s
    this.next = 1
    this.calls = new Map()
    let rest = ''
    s.on('data', (b) => {
      rest += b
      const lines = rest.split('\n')
      rest = lines.pop()
      for (const line of lines) {
        const m = JSON.parse(line)
        const call = this.calls.get(m.id)
        if (!call) continue
        if (m.tag !== 'final') { call.events.push(m); continue }
        this.calls.delete(m.id)
        call.resolve({ ...m.data, events: call.events })
      }
    })
  }

  // Resolves to the final event's data, with the earlier events in `events`. `ok: false` does not reject.
  call (op, params = {}) {
    const id = this.next++
    return new Promise((resolve) => {
      this.calls.set(id, { resolve, events: [] })
      this.socket.write(JSON.stringify({ id, op, params }) + '\n')
    })
  }

  // The operation `pipe`, over an IPC connection of its own (docs/IPC.md, "Streams").
  async pipe (params = {}) {
    const socket = net.connect({ path: path.join(this.dir, 'data', 'orchard.sock'), allowHalfOpen: true })
    await once(socket, 'connect')
    socket.write(JSON.stringify({ id: 1, op: 'pipe', params }) + '\n')
    return new Pipe(socket)
  }

  // Calls until it says ok, for what another node needs a moment to learn.
  async until (op, params) {
    for (;;) {
      const r = await this.call(op, params)
      if (r.ok) return r
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  get address () {
    const [host, port] = this.info.address.split(':')
    return { host, port: Number(port) }
  }

  async stop () {
    this.socket.destroy()
    this.child.kill('SIGTERM')
    await this.exited
    fs.rmSync(this.dir, { recursive: true, force: true })
  }
}

// Emits 'event' for each event of the operation, 'data' for the peer's bytes, and 'final' at last. Write to `socket`.
class Pipe extends EventEmitter {
  constructor (socket) {
    super()
    this.socket = socket
    this.opened = new Promise((resolve, reject) => {
      this.on('event', (e) => { if (e.tag === 'opened') resolve(e.data) })
      this.on('final', (data) => { if (!data.ok) reject(new Error(data.code + ': ' + data.message)) })
    })
    this.opened.catch(() => {})
    this.final = once(this, 'final').then(([data]) => data)
    let rest = Buffer.alloc(0)
    socket.on('data', (b) => {
      rest = rest.length ? Buffer.concat([rest, b]) : b
      let at = 0
      while (rest.length - at >= 5) {
        const size = rest.readUInt32LE(at)
        if (rest.length - at < 5 + size) break
        const body = rest.subarray(at + 5, at + 5 + size)
        if (rest[at + 4] === 0x44) this.emit('data', body)
        else {
          const event = JSON.parse(body.toString())
          if (event.tag === 'final') this.emit('final', event.data)
          else {
            this.emit('event', event)
            if (event.tag === 'end') this.emit('end-of-peer')
          }
        }
        at += 5 + size
      }
      rest = rest.subarray(at)
    })
    socket.on('close', () => this.emit('final', { ok: false, code: 'CLOSED', message: 'the daemon closed the stream' }))
    socket.on('error', () => {})
  }

  // Resolves to the SHA-256 and length of all that the peer sends.
  hashed () {
    const hash = createHash('sha256')
    let bytes = 0
    this.on('data', (b) => { hash.update(b); bytes += b.length })
    return once(this, 'end-of-peer').then(() => ({ sha256: hash.digest('hex'), bytes }))
  }
}

// `count` persistent Orchard nodes on loopback; the first is the root of the others.
async function orchardNet (count) {
  const first = await Daemon.start({ dht: { bootstrap: true, nodes: [] } })
  const root = `${first.address.host}:${first.address.port}`
  const rest = await Promise.all(Array.from({ length: count - 1 }, () =>
    Daemon.start({ dht: { nodes: [root], persistent: true, firewalled: false } })))
  const all = [first, ...rest]
  for (const d of all) {
    // Everyone knows a few others before a test begins.
    for (;;) {
      const r = await d.call('dht.nodes')
      if (r.nodes.length >= Math.min(3, count - 1)) break
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  return { all, bootstrap: [first.address], root, stop: () => Promise.all(all.map((d) => d.stop())) }
}

// `size` bytes that differ by their place, as a stream of 64 KiB pieces.
function * content (size, seed = 1) {
  let x = seed >>> 0
  for (let left = size; left > 0;) {
    const piece = Buffer.alloc(Math.min(left, 65536))
    for (let i = 0; i + 4 <= piece.length; i += 4) {
      x = (Math.imul(x, 1664525) + 1013904223) >>> 0
      piece.writeUInt32LE(x, i)
    }
    left -= piece.length
    yield piece
  }
}

function contentHash (size, seed = 1) {
  const hash = createHash('sha256')
  for (const piece of content(size, seed)) hash.update(piece)
  return hash.digest('hex')
}

// Writes with back-pressure.
async function writeAll (stream, pieces) {
  for (const piece of pieces) {
    if (!stream.write(piece)) await once(stream, 'drain')
  }
}

module.exports = { Daemon, orchardNet, content, contentHash, writeAll }
