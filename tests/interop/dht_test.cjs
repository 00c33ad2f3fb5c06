// The DHT between JavaScript nodes and ours, both ways round.
'use strict'
const test = require('node:test')
const assert = require('node:assert')
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')
const { Daemon, orchardNet } = require('./lib.cjs')

const hash = (text) => DHT.hash(Buffer.from(text))

async function peersOf (query) {
  const keys = new Set()
  for await (const reply of query) for (const p of reply.peers) keys.add(p.publicKey.toString('hex'))
  return [...keys]
}

test('our node in a net of JavaScript nodes', async (t) => {
  const testnet = await createTestnet(10)
  const root = `127.0.0.1:${testnet.bootstrap[0].port}`
  const ours = await Daemon.start({ dht: { nodes: [root], persistent: true, firewalled: false } })
  const other = await Daemon.start({ dht: { nodes: [root] } })
  const js = testnet.createNode()
  t.after(async () => { await ours.stop(); await other.stop(); await testnet.destroy() })
  const keyPair = DHT.keyPair()

  await t.test('finds the nodes that are there', async () => {
    const r = await ours.until('dht.find-node', { target: 'anything' })
    // A JavaScript root that knows nobody above it stays without an id, so it is asked but never listed.
    const ports = testnet.nodes.slice(1, 10).map((n) => n.address().port)
    const found = new Set(r.nodes.map((n) => Number(n.address.split(':')[1])))
    for (const port of ports) assert.ok(found.has(port), `${port} is missing in ${[...found]}`)
  })
  await t.test('is found by them', async () => {
    const closest = []
    for await (const reply of js.findNode(Buffer.from(ours.info.id, 'hex'))) closest.push(reply.from.port)
    assert.ok(closest.includes(ours.address.port), `asked ${closest}, we are ${ours.address.port}`)
  })
  await t.test('answers a JavaScript ping', async () => {
    const r = await js.ping(ours.address)
    assert.equal(r.from.id.toString('hex'), ours.info.id)
  })
  await t.test('pings a JavaScript node', async () => {
    const node = testnet.nodes[4]
    const r = await ours.call('dht.ping', { address: `127.0.0.1:${node.address().port}` })
    assert.equal(r.ok, true)
    assert.equal(r.id, node.id.toString('hex'))
  })
  await t.test('reads what JavaScript announced', async () => {
    await js.announce(hash('apples'), keyPair).finished()
    const r = await other.until('dht.lookup', { topic: 'apples' })
    assert.deepEqual(r.events.filter((e) => e.tag === 'peer').map((e) => e.data.key).filter((k, i, a) => a.indexOf(k) === i),
      [keyPair.publicKey.toString('hex')])
  })
  await t.test('announces what JavaScript reads', async () => {
    const r = await other.until('dht.announce', { topic: 'pears' })
    assert.deepEqual(await peersOf(js.lookup(hash('pears'))), [r.key])
  })
  await t.test('takes it back', async () => {
    const r = await other.call('dht.unannounce', { topic: 'pears' })
    assert.equal(r.ok, true)
    assert.deepEqual(await peersOf(js.lookup(hash('pears'))), [])
  })
  await t.test('reads what JavaScript took back as gone', async () => {
    await js.unannounce(hash('apples'), keyPair)
    const r = await other.call('dht.lookup', { topic: 'apples' })
    assert.equal(r.ok, false)
    assert.equal(r.code, 'NOT_FOUND')
  })
  await t.test('reads an immutable record of JavaScript', async () => {
    const { hash: key } = await js.immutablePut(Buffer.from('grown in JavaScript'))
    const r = await other.call('dht.get', { key: key.toString('hex') })
    assert.equal(r.value, 'grown in JavaScript')
  })
  await t.test('writes an immutable record that JavaScript reads', async () => {
    const r = await other.call('dht.put', { value: 'grown in C++' })
    const got = await js.immutableGet(Buffer.from(r.key, 'hex'))
    assert.equal(got.value.toString(), 'grown in C++')
  })
  await t.test('reads a mutable record of JavaScript', async () => {
    await js.mutablePut(keyPair, Buffer.from('one'), { seq: 1 })
    await js.mutablePut(keyPair, Buffer.from('two'), { seq: 2 })
    const r = await other.call('dht.get', { key: keyPair.publicKey.toString('hex'), mutable: true })
    assert.equal(r.value, 'two')
    assert.equal(r.seq, 2)
  })
  await t.test('writes a mutable record that JavaScript reads', async () => {
    const first = await other.call('dht.put', { value: 'first', mutable: true })
    const second = await other.call('dht.put', { value: 'second', mutable: true })
    assert.equal(second.key, first.key)
    const got = await js.mutableGet(Buffer.from(second.key, 'hex'), { latest: true })
    assert.equal(got.value.toString(), 'second')
    assert.equal(got.seq, second.seq)
  })
  await t.test('is refused a stale version by JavaScript nodes', async () => {
    const r = await other.call('dht.put', { value: 'old', mutable: true, seq: 0 })
    assert.equal(r.ok, false)
    assert.match(r.code, /SEQ_TOO_LOW|SEQ_REUSED/)
  })
})

test('JavaScript nodes in a net of ours', async (t) => {
  const net = await orchardNet(8)
  const nodes = []
  for (let i = 0; i < 3; i++) {
    const node = new DHT({ bootstrap: net.bootstrap, host: '127.0.0.1', ephemeral: false, firewalled: false })
    await node.fullyBootstrapped()
    nodes.push(node)
  }
  const a = new DHT({ bootstrap: net.bootstrap, host: '127.0.0.1' })
  const b = new DHT({ bootstrap: net.bootstrap, host: '127.0.0.1' })
  t.after(async () => { for (const n of [a, b, ...nodes]) await n.destroy(); await net.stop() })

  await t.test('a JavaScript node learns all of us', async () => {
    const seen = new Set()
    for await (const reply of a.findNode(hash('anything'))) seen.add(reply.from.port)
    for (const d of net.all) assert.ok(seen.has(d.address.port), `${d.address.port} is missing in ${[...seen]}`)
  })
  await t.test('an announcement is kept by our nodes', async () => {
    const keyPair = DHT.keyPair()
    await a.announce(hash('plums'), keyPair).finished()
    assert.deepEqual(await peersOf(b.lookup(hash('plums'))), [keyPair.publicKey.toString('hex')])
    const r = await net.all[5].call('dht.lookup', { topic: 'plums' })
    assert.equal(r.ok, true)
    await a.unannounce(hash('plums'), keyPair)
    assert.deepEqual(await peersOf(b.lookup(hash('plums'))), [])
  })
  await t.test('a forged announcement is not', async () => {
    const keyPair = DHT.keyPair()
    const forged = { publicKey: keyPair.publicKey, secretKey: DHT.keyPair().secretKey }
    await a.announce(hash('quinces'), forged, [], { retries: 0 }).finished().catch(() => {})
    const r = await net.all[2].call('dht.lookup', { topic: 'quinces' })
    assert.equal(r.ok, false)
  })
  await t.test('records are kept by our nodes', async () => {
    const { hash: key } = await a.immutablePut(Buffer.from('kept'))
    assert.equal((await b.immutableGet(key)).value.toString(), 'kept')
    const keyPair = DHT.keyPair()
    await a.mutablePut(keyPair, Buffer.from('v1'), { seq: 1 })
    await a.mutablePut(keyPair, Buffer.from('v2'), { seq: 2 })
    const got = await b.mutableGet(keyPair.publicKey, { latest: true })
    assert.equal(got.value.toString(), 'v2')
    // JavaScript does not look at the error codes of a put, so what is kept must speak.
    await a.mutablePut(keyPair, Buffer.from('v1 again'), { seq: 1 })
    const after = await b.mutableGet(keyPair.publicKey, { latest: true })
    assert.equal(after.value.toString(), 'v2')
  })
  await t.test('two JavaScript peers connect through relays that are ours', async () => {
    const server = a.createServer((socket) => { socket.on('error', () => {}); socket.pipe(socket) })
    await server.listen()
    let relays = 0
    for await (const reply of b.findPeer(server.publicKey)) if (reply.peer) relays++
    assert.ok(relays >= 3, `${relays} nodes hold the route`)
    const socket = b.connect(server.publicKey)
    socket.on('error', () => {})
    const echoed = new Promise((resolve, reject) => { socket.once('data', resolve); socket.once('close', () => reject(new Error('closed'))) })
    socket.write('through the orchard')
    assert.equal((await echoed).toString(), 'through the orchard')
    socket.destroy()
    await server.close()
  })
})
