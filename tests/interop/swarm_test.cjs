// Hyperswarm: JavaScript swarms and ours on one topic.
'use strict'
const test = require('node:test')
const assert = require('node:assert')
const Hyperswarm = require('hyperswarm')
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')
const { Daemon } = require('./lib.cjs')

const until = async (what, check) => {
  for (let i = 0; i < 300; i++) {
    if (await check()) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.fail(`${what}: not within 30 s`)
}

test('one topic, three JavaScript swarms and three of ours', async (t) => {
  const testnet = await createTestnet(10)
  const root = `127.0.0.1:${testnet.bootstrap[0].port}`
  const swarms = Array.from({ length: 3 }, () => new Hyperswarm({ dht: new DHT({ bootstrap: testnet.bootstrap, host: '127.0.0.1' }) }))
  const ours = await Promise.all(Array.from({ length: 3 }, () => Daemon.start({ dht: { nodes: [root] } })))
  t.after(async () => {
    for (const s of swarms) await s.destroy()
    for (const d of ours) await d.stop()
    await testnet.destroy()
  })
  const topic = DHT.hash(Buffer.from('orchard'))
  for (const s of swarms) {
    s.on('connection', (c) => c.on('error', () => {}))
    await s.join(topic).flushed()
  }
  for (const d of ours) assert.equal((await d.until('swarm.join', { topic: topic.toString('hex') })).ok, true)

  await t.test('everyone is connected with everyone', async () => {
    await until('the JavaScript swarms see five peers each', () => swarms.every((s) => s.connections.size === 5))
    for (const d of ours) {
      await until('ours sees five peers', async () => {
        const r = await d.call('connections')
        return new Set(r.connections.filter((c) => c.step === 'open').map((c) => c.peer)).size === 5
      })
    }
  })
  await t.test('and by one connection each', async () => {
    for (const d of ours) {
      const r = await d.call('connections')
      const open = r.connections.filter((c) => c.step === 'open')
      assert.equal(open.length, new Set(open.map((c) => c.peer)).size)
    }
  })
  await t.test('who leaves is not found again', async () => {
    assert.equal((await ours[0].call('swarm.leave', { topic: topic.toString('hex') })).ok, true)
    const found = new Set()
    for await (const reply of swarms[0].dht.lookup(topic)) for (const p of reply.peers) found.add(p.publicKey.toString('hex'))
    assert.ok(!found.has(ours[0].info.key))
    assert.ok(found.has(ours[1].info.key))
  })
})

// Nobody's announcement lay there yet when the others asked. The JavaScript swarms ask again after ten minutes, ours after half a minute.
test('three and three who join at the same moment', async (t) => {
  const testnet = await createTestnet(10)
  const root = `127.0.0.1:${testnet.bootstrap[0].port}`
  const swarms = Array.from({ length: 3 }, () => new Hyperswarm({ dht: new DHT({ bootstrap: testnet.bootstrap, host: '127.0.0.1' }) }))
  const ours = await Promise.all(Array.from({ length: 3 }, () => Daemon.start({ dht: { nodes: [root] } })))
  t.after(async () => {
    for (const s of swarms) await s.destroy()
    for (const d of ours) await d.stop()
    await testnet.destroy()
  })
  const topic = DHT.hash(Buffer.from('orchard'))
  for (const s of swarms) {
    s.on('connection', (c) => c.on('error', () => {}))
    s.join(topic)
  }
  for (const d of ours) d.call('swarm.join', { topic: topic.toString('hex') }).catch(() => {})

  await t.test('ours meet everyone within a minute', async () => {
    const deadline = Date.now() + 60_000
    for (const d of ours) {
      let r
      do {
        await new Promise((resolve) => setTimeout(resolve, 200))
        r = await d.call('swarm.peers')
      } while (r.count < 5 && Date.now() < deadline)
      assert.equal(r.count, 5)
    }
  })
  await t.test('and by one connection each, though dials cross', async () => {
    await until('the JavaScript swarms see ours', () => swarms.every((s) => s.connections.size >= 3))
    for (const d of ours) {
      const open = (await d.call('connections')).connections.filter((c) => c.step === 'open')
      assert.equal(open.length, new Set(open.map((c) => c.peer)).size)
    }
  })
})
