// How many requests a lookup costs us, beside the JavaScript query on the same network of JavaScript nodes.
'use strict'
const test = require('node:test')
const assert = require('node:assert')
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')
const { Daemon } = require('./lib.cjs')

test('a lookup asks as many nodes as the JavaScript query, within 10 %', async (t) => {
  const testnet = await createTestnet(80)
  const js = testnet.createNode()
  await js.fullyBootstrapped()
  const ours = await Daemon.start({ dht: { nodes: [`127.0.0.1:${testnet.bootstrap[0].port}`] } })
  t.after(async () => { await ours.stop(); await testnet.destroy() })
  let theirs = 0
  let mine = 0
  const targets = Array.from({ length: 40 }, (_, i) => DHT.hash(Buffer.from(`target ${i}`)))
  for (const target of targets) {
    const query = js.findNode(target)
    await query.finished()
    theirs += query.successes + query.errors
    mine += (await ours.call('dht.find-node', { target: target.toString('hex') })).requests
  }
  console.log(`requests of ${targets.length} searches among 80 nodes: JavaScript ${theirs}, ours ${mine}, ratio ${(mine / theirs).toFixed(3)}`)
  assert.ok(Math.abs(mine / theirs - 1) <= 0.1, `${mine} against ${theirs}`)
})
