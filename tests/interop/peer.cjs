// The JavaScript peer as a daemon: the deployed package behind the command line, socket and events of `orchard node`
// (docs/IPC.md), as far as it goes. `orchard sim --host netns` runs it for hosts that say "runs": "js".
// node peer.cjs --config FILE --data DIR --trace FILE --set ipc_socket=PATH --set seed=HEX --set dht.nodes=HOST:PORT,…
'use strict'
const fs = require('fs')
const net = require('net')
const DHT = require('hyperdht')

const IDLE_MS = 20000 // A dial that neither opens nor fails by then has failed: the package sets no time of its own for all of it.

function arguments_ (argv) {
  const out = { config: {}, data: null, trace: null, set: {} }
  for (let i = 0; i < argv.length; i += 2) {
    const value = argv[i + 1]
    if (argv[i] === '--config') out.config = JSON.parse(fs.readFileSync(value, 'utf8'))
    else if (argv[i] === '--data') out.data = value
    else if (argv[i] === '--trace') out.trace = value
    else if (argv[i] === '--set') out.set[value.slice(0, value.indexOf('='))] = value.slice(value.indexOf('=') + 1)
    else throw new Error('unknown option ' + argv[i])
  }
  return out
}

const typed = arguments_(process.argv.slice(2))
const config = typed.config
const dhtConfig = config.dht || {}
const seed = typed.set.seed || config.seed
const keyPair = DHT.keyPair(seed ? Buffer.from(seed, 'hex') : undefined)
const address = (text) => ({ host: text.slice(0, text.lastIndexOf(':')), port: Number(text.slice(text.lastIndexOf(':') + 1)) })
const nodes = (typed.set['dht.nodes'] ?? (dhtConfig.nodes || []).join(',')).split(',').filter((t) => t).map(address)
const relay = typed.set['relay.through'] || (config.relay && config.relay.through)
const policy = (config.relay && config.relay.policy) || 'fallback'

const options = { bootstrap: nodes, keyPair, port: dhtConfig.port ?? 49737, host: dhtConfig.host || '0.0.0.0' }
if (dhtConfig.bootstrap) Object.assign(options, { ephemeral: false, firewalled: false, anyPort: false })
if (dhtConfig.persistent) options.ephemeral = false
if (dhtConfig.firewalled !== undefined) options.firewalled = dhtConfig.firewalled
const dht = new DHT(options)

// ---- Events, with the names and fields of ours (node/hyperdht/connect_trace.h) ----

const trace = typed.trace ? fs.openSync(typed.trace, 'a') : null
function event (name, fields = {}) {
  if (trace === null) return
  const at = process.hrtime.bigint() // CLOCK_MONOTONIC; our own daemons say CLOCK_BOOTTIME.
  fs.writeSync(trace, JSON.stringify({ at: Number(at), event: name, ...fields }) + '\n')
}
const started = Date.now()
dht.fullyBootstrapped().then(() => event('dht.bootstrapped', { ms: Date.now() - started }), () => {})
dht.on('persistent', () => event('dht.persistent', { ms: Date.now() - started, id: dht.id.toString('hex') }))

// ---- Connections ----

// Connections that the package makes itself are those to blind relays.
const dialPeer = dht.connect.bind(dht)
const relays = new Set()
dht.connect = (key, opts) => {
  const socket = dialPeer(key, opts)
  relays.add(socket)
  socket.once('close', () => relays.delete(socket))
  return socket
}
const isRelay = (raw) => [...relays].some((r) => r.rawStream && r.rawStream.remoteHost === raw.remoteHost && r.rawStream.remotePort === raw.remotePort)

const isPrivate = (host) => /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|127\.)/.test(host)
const connections = new Map() // By the other's key, in hexadecimal digits.
let nextConnection = 1

// Through what: the package does not say, but it knows where its packets go, and punches with sockets of a pool.
function pathOf (c) {
  const raw = c.socket.rawStream
  if (!raw || !raw.remoteHost) return c.path
  if (isRelay(raw)) return 'relayed'
  if (isPrivate(raw.remoteHost)) return 'lan'
  return dht._socketPool.lookup(raw.socket) ? 'punched' : 'direct'
}

function watch (socket, key, initiator) {
  const c = { id: nextConnection++, socket, key, initiator, began: Date.now(), opened: false, path: 'none', sent: 0, received: 0 }
  const hex = key.toString('hex')
  event('connect.began', { connection: c.id, peer: hex, initiator: initiator ? 1 : 0 })
  const figures = () => ({ took_ns: (Date.now() - c.began) * 1e6 }) // Attempts, probes and NATs it keeps to itself.
  const repath = () => {
    const now = pathOf(c)
    if (now === c.path) return
    event('connect.path_changed', { connection: c.id, peer: hex, from: c.path, to: now })
    c.path = now
  }
  c.open = new Promise((resolve, reject) => {
    const onopen = () => {
      if (c.opened) return
      c.opened = true
      c.path = pathOf(c)
      connections.set(hex, c)
      event('connect.opened', { connection: c.id, peer: hex, initiator: initiator ? 1 : 0, path: c.path, ...figures() })
      socket.rawStream.on('remote-changed', repath)
      resolve(c)
    }
    socket.opened.then((opened) => { if (opened) onopen() })
    socket.on('error', (err) => { c.error = err })
    socket.on('close', () => {
      if (connections.get(hex) === c) connections.delete(hex)
      const code = (c.error && c.error.code) || (c.opened ? 'OK' : 'ECONNRESET')
      if (c.opened) event('connect.closed', { connection: c.id, peer: hex, code, sent_bytes: c.sent, received_bytes: c.received })
      else event('connect.failed', { connection: c.id, peer: hex, initiator: initiator ? 1 : 0, code, step: 'unknown', ...figures() })
      reject(Object.assign(new Error(c.error ? c.error.message : 'closed'), { code }))
    })
  })
  c.open.catch(() => {})
  socket.on('data', (data) => {
    c.received += data.length
    event('stream.received', { connection: c.id, bytes: data.length })
  })
  socket.on('end', () => socket.end())
  return c
}

async function dial (key, fresh) {
  const known = connections.get(key.toString('hex'))
  if (known && !fresh) return known
  const socket = dialPeer(key, { keyPair, relayThrough: relay && policy !== 'never' ? Buffer.from(relay, 'hex') : null })
  const c = watch(socket, key, true)
  const timer = setTimeout(() => socket.destroy(Object.assign(new Error('took too long'), { code: 'ETIMEDOUT' })), IDLE_MS)
  try { return await c.open } finally { clearTimeout(timer) }
}

const answerOf = (c) => ({
  key: c.key.toString('hex'), connection: c.id, path: c.path, remote: `${c.socket.rawStream.remoteHost}:${c.socket.rawStream.remotePort}`,
  ms: Date.now() - c.began
})

// ---- Operations ----

const topicOf = (text) => /^[0-9a-f]{64}$/.test(text) ? Buffer.from(text, 'hex') : DHT.hash(Buffer.from(text))
const units = { '': 1, B: 1, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }
const bytesOf = (text) => { const [, n, unit] = /^([\d.]+)\s*(\w*)$/.exec(String(text)); return Math.round(Number(n) * units[unit]) }
let server = null

const operations = {
  async info () {
    return { version: require('hyperdht/package.json').version, key: keyPair.publicKey.toString('hex'), firewalled: dht.firewalled, ephemeral: dht.ephemeral, nodes: dht.nodes.length }
  },
  async listen () {
    if (!server) {
      server = dht.createServer({ relayThrough: relay && policy !== 'never' ? Buffer.from(relay, 'hex') : null }, (socket) => {
        watch(socket, socket.remotePublicKey, false)
      })
      await server.listen(keyPair)
      event('server.listening', { server: keyPair.publicKey.toString('hex') })
    }
    return { key: keyPair.publicKey.toString('hex') }
  },
  async connect ({ to, fresh }) { return answerOf(await dial(Buffer.from(to, 'hex'), fresh)) },
  async send ({ to, bytes, text }) {
    const began = Date.now()
    const c = await dial(Buffer.from(to, 'hex'), false)
    let left = text === undefined ? bytesOf(bytes) : 0
    const write = async (data) => {
      c.sent += data.length
      event('stream.sent', { connection: c.id, bytes: data.length })
      if (!c.socket.write(data)) await new Promise((resolve) => { c.socket.once('drain', resolve); c.socket.once('close', resolve) })
    }
    if (text !== undefined) await write(Buffer.from(text))
    for (; left > 0 && !c.socket.destroyed; left -= 65536) await write(Buffer.alloc(Math.min(left, 65536), left & 255))
    if (await c.socket.flush() === false || c.socket.destroyed) throw Object.assign(new Error('the connection is gone'), { code: 'ECONNRESET' })
    return { key: to, connection: c.id, path: c.path, bytes: c.sent, ms: Date.now() - began }
  },
  async disconnect ({ to }) {
    const c = connections.get(to)
    if (!c) throw Object.assign(new Error('there is no connection with that peer'), { code: 'NOT_FOUND' })
    c.socket.end()
    return { key: to, connections: 1 }
  },
  async 'dht.announce' ({ topic }) {
    const query = dht.announce(topicOf(topic), keyPair)
    await query.finished()
    return { topic: topicOf(topic).toString('hex'), key: keyPair.publicKey.toString('hex'), nodes: query.closestNodes.length }
  },
  async 'dht.lookup' ({ topic }) {
    const keys = new Set()
    for await (const reply of dht.lookup(topicOf(topic))) for (const p of reply.peers) keys.add(p.publicKey.toString('hex'))
    if (keys.size === 0) throw Object.assign(new Error('nobody serves that topic'), { code: 'NOT_FOUND' })
    return { topic: topicOf(topic).toString('hex'), peers: keys.size }
  },
  async 'dht.ping' ({ address: text }) {
    const began = Date.now()
    const reply = await dht.ping(address(text))
    return { address: text, rtt_ms: Date.now() - began, to: `${reply.to.host}:${reply.to.port}` }
  }
}

async function call (id, op, params, say) {
  const known = Object.hasOwn(operations, op) ? operations[op] : null
  if (!known) return say({ id, tag: 'error', data: { ok: false, code: 'ERR_UNKNOWN_OPERATION', message: `the JavaScript peer has no ${op}` } })
  try {
    say({ id, tag: 'final', data: { ok: true, ...await known(params || {}) } })
  } catch (err) {
    say({ id, tag: 'final', data: { ok: false, code: err.code || 'ERR_JS', message: String(err.message) } })
  }
}

net.createServer((client) => {
  let rest = ''
  client.setEncoding('utf8')
  client.on('error', () => {})
  client.on('data', (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    for (const line of lines) {
      const request = JSON.parse(line)
      if (!request.cancel) call(request.id, request.op, request.params, (answer) => { if (!client.destroyed) client.write(JSON.stringify(answer) + '\n') })
    }
  })
}).listen(typed.set.ipc_socket)

process.on('SIGTERM', () => {
  dht.destroy().then(() => process.exit(0), () => process.exit(1))
})
