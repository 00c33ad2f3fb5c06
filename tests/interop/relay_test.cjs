// Blind relays: JavaScript peers through ours, and ours through a JavaScript relay.
'use strict'
const test = require('node:test')
const assert = require('node:assert')
const { once } = require('events')
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')
const relay = require('blind-relay')
const { Daemon, content, contentHash, writeAll } = require('./lib.cjs')

const SIZE = 4 << 20

test('JavaScript peers meet through our relay', async (t) => {
  const testnet = await createTestnet(10)
  const root = `127.0.0.1:${testnet.bootstrap[0].port}`
  const ours = await Daemon.start({ dht: { nodes: [root], firewalled: false }, relay: { serve: true } })
  const options = { bootstrap: testnet.bootstrap, host: '127.0.0.1', firewalled: true, quickFirewall: false, ephemeral: true }
  const a = new DHT(options)
  const b = new DHT(options)
  t.after(async () => { await a.destroy({ force: true }); await b.destroy({ force: true }); await ours.stop(); await testnet.destroy() })
  await ours.until('listen')
  const relayKey = Buffer.from(ours.info.key, 'hex')

  // No holepunch on the server's side: the relay is the only way.
  const server = b.createServer({ shareLocalAddress: false, holepunch: () => false, relayThrough: relayKey }, (s) => {
    s.on('error', () => {})
    s.pipe(s)
  })
  await server.listen()
  const socket = a.connect(server.publicKey, { localConnection: false, fastOpen: false, holepunch: () => false, relayThrough: relayKey })
  socket.on('error', (e) => { throw e })
  const echo = []
  let got = 0
  socket.on('data', (d) => { echo.push(d); got += d.length })
  await once(socket, 'open')
  await writeAll(socket, content(SIZE, 5))
  while (got < SIZE) await once(socket, 'data')
  const { createHash } = require('crypto')
  assert.equal(createHash('sha256').update(Buffer.concat(echo)).digest('hex'), contentHash(SIZE, 5))
  // It never was direct: its packets go where the relay is.
  assert.equal(socket.rawStream.remotePort, ours.address.port)
  socket.destroy()
  await server.close()
})

test('our peers meet through a JavaScript relay', async (t) => {
  const testnet = await createTestnet(10)
  const root = `127.0.0.1:${testnet.bootstrap[0].port}`
  const host = new DHT({ bootstrap: testnet.bootstrap, host: '127.0.0.1', firewalled: false })
  const relayServer = new relay.Server({ createStream: (opts) => host.createRawStream({ ...opts, framed: true }) })
  let paired = 0
  const server = host.createServer((socket) => {
    socket.on('error', () => {})
    const session = relayServer.accept(socket, { id: socket.remotePublicKey })
    session.on('error', () => {})
    session.on('pair', () => paired++)
  })
  await server.listen()
  const through = server.publicKey.toString('hex')
  const config = { dht: { nodes: [root], firewalled: true, ephemeral: true }, relay: { through, policy: 'only' } }
  const a = await Daemon.start(config)
  const b = await Daemon.start(config)
  t.after(async () => { await a.stop(); await b.stop(); await host.destroy({ force: true }); await testnet.destroy() })

  const { key } = await b.until('listen')
  const there = await b.pipe()
  const received = there.hashed()
  const here = await a.pipe({ to: key })
  await here.opened
  await writeAll(here.socket, content(SIZE, 6))
  here.socket.end()
  there.socket.end()
  assert.deepEqual(await received, { sha256: contentHash(SIZE, 6), bytes: SIZE })
  assert.equal((await here.final).ok, true)
  assert.ok(paired >= 1, `${paired} pairs`)
})
