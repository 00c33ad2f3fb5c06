// How many requests a search costs us, beside the JavaScript query on the same network of JavaScript nodes.
'use strict'
const test = require('node:test')
const assert = require('node:assert')
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')
const { Daemon } = require('./lib.cjs')

// Which nodes a newcomer's table keeps is chance and colours all its searches, so many newcomers are compared.
const NEWCOMERS = 10
const SEARCHES = 40

test('a search asks as many nodes as the JavaScript query, within 10 %', async (t) => {
  const testnet = await createTestnet(80)
  t.after(() => testnet.destroy())
  const targets = Array.from({ length: SEARCHES }, (_, i) => DHT.hash(Buffer.from(`target ${i}`)))
  let theirs = 0
  let mine = 0
  for (let i = 0; i < NEWCOMERS; i++) {
    const js = new DHT({ bootstrap: testnet.bootstrap, host: '127.0.0.1' })
    await js.fullyBootstrapped()
    const ours = await Daemon.start({ dht: { nodes: [`127.0.0.1:${testnet.bootstrap[0].port}`] } })
    for (const target of targets) {
      const query = js.findNode(target)
      await query.finished()
      theirs += query.successes + query.errors
      mine += (await ours.call('dht.find-node', { target: target.toString('hex') })).requests
    }
    await js.destroy()
    await ours.stop()
  }
  console.log(`requests of ${NEWCOMERS} × ${SEARCHES} searches among 80 nodes: JavaScript ${theirs}, ours ${mine}, ratio ${(mine / theirs).toFixed(3)}`)
  assert.ok(Math.abs(mine / theirs - 1) <= 0.1, `${mine} against ${theirs}`)
})
